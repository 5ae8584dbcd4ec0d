const nibble = (at: number): string => `(instr('0123456789ABCDEF', substr(hex(r.uid), ${at + 1}, 1)) - 1)`;

/** Five bits from bit `at` of the id, as a digit of its text form. */
const digit = (at: number): string => {
  const five = at < 0 ? `(${nibble(0)} >> 1)` : `(((${nibble(at >> 2)} * 16 + ${nibble((at >> 2) + 1)}) >> ${3 - (at % 4)}) & 31)`;
  return `substr('0123456789abcdefghjkmnpqrstvwxyz', 1 + ${five}, 1)`;
};

/** The text form of a run's id (ids.ts of the kernel): the random part, then the time. A test compares the two. */
export const runIdText = [
  ...Array.from({ length: 16 }, (_, i) => digit(48 + 5 * i)),
  ...Array.from({ length: 10 }, (_, i) => digit(5 * i - 2)),
].join(' || ');
