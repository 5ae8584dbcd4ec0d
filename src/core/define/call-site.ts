/**
 * Where in the user's code a call came from. Reading stacks is the one way to know; where an engine writes them otherwise the place is
 * missing from the message, and nothing else changes.
 */
export interface CallSite {
  /** Path or URL, as the stack has it. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** The frame that called into Pawl: the first one of a file that is none of Pawl's own. */
export function callSite(): CallSite | undefined {
  for (const frame of stackFrames()) {
    if (!isOwn(frame.file)) return frame;
  }
  return undefined;
}

/** `order.ts:12:9`, for messages; an empty text where the place is not known. */
export function siteText(site: CallSite | undefined): string {
  if (site === undefined) return '';
  const name = site.file.slice(Math.max(site.file.lastIndexOf('/'), site.file.lastIndexOf('\\')) + 1);
  return `${name}:${site.line}:${site.column}`;
}

/** ` (order.ts:12:9)`, or nothing. */
export function inParens(site: CallSite | undefined): string {
  return site === undefined ? '' : ` (${siteText(site)})`;
}

/** The folder of the package: this file is src/core/define/call-site.ts, or dist/core/define/call-site.js. */
const OWN_FOLDER = stackFrames()[0]?.file.replace(/(?:[^/\\]+[/\\]){2}[^/\\]+$/, '');

function isOwn(file: string): boolean {
  return OWN_FOLDER !== undefined && OWN_FOLDER !== '' && file.startsWith(OWN_FOLDER) && !/\.(test|test-d)\.[cm]?[jt]s$/.test(file);
}

function stackFrames(): CallSite[] {
  const errors = Error as unknown as { stackTraceLimit?: number };
  const limit = errors.stackTraceLimit;
  // Helpers of the user's own may stand between the builder and the call, and a hook for stacks may have set a low limit.
  errors.stackTraceLimit = 30;
  const stack: unknown = new Error('for its stack').stack;
  if (limit === undefined) delete errors.stackTraceLimit;
  else errors.stackTraceLimit = limit;
  if (typeof stack !== 'string') return [];
  return stack.split('\n').flatMap((line) => parseFrame(line.trim()) ?? []);
}

/** V8 writes `at name (file:1:2)` and `at file:1:2`, others `name@file:1:2`. */
function parseFrame(line: string): CallSite | undefined {
  const match = /^(?:at (?:.*? \()?|[^@]*@)(.+?):(\d+):(\d+)\)?$/.exec(line);
  const file = match?.[1];
  if (file === undefined || file.startsWith('node:') || file.startsWith('<')) return undefined;
  // Own files come as URLs of modules, or as paths (under a bundler or a test runner).
  return { file: file.replace(/^(async |new )+/, '').replace(/^file:\/\//, ''), line: Number(match?.[2]), column: Number(match?.[3]) };
}
