/** Milliseconds that the next commits are said to take when a store measures its disk; a fast disk where none are left. */
export const disk: { flushes: number[] } = { flushes: [] };

export const FAST_MS = 0.1;
