/** The format of run states that this code writes and understands (promises, section 2, rule 7). */
export const STATE_FORMAT = 1;
