/**
 * The graph and its contracts, without any body: the demo starts and watches runs with this file alone, and needs none of the libraries
 * that the worker needs.
 */
import { z } from 'zod';
import { task, workflow } from '../../src/index.ts';

const Package = z.object({
  /** Its folder, relative to the root, with forward slashes. */
  path: z.string(),
  name: z.string(),
  version: z.string(),
});

const Project = z.object({ name: z.string(), version: z.string() });

/** Small on purpose: one hash for a package, not one for each of its files. */
const Inspection = z.object({
  licence: z.string(),
  /** `package.json`, or the file whose text told. */
  licenceFrom: z.string(),
  files: z.number().int(),
  bytes: z.number().int(),
  sha256: z.string(),
});

const Scanned = z.object({ project: Project, scannedAt: z.date(), packages: z.array(Package) });

/** How the inspection of one package ended: the tolerant map gives one of these per package, in the order of the scan. */
const Settled = z.discriminatedUnion('status', [
  z.object({ status: z.literal('success'), value: Inspection }),
  z.object({
    status: z.enum(['failed', 'upstream_failed', 'cancelled']),
    error: z.object({ code: z.string(), message: z.string(), attempts: z.number() }),
  }),
  z.object({ status: z.literal('skipped') }),
]);

const Findings = z.object({ out: z.string(), scan: Scanned, inspections: z.array(Settled) });
const Made = z.object({ file: z.string(), sha256: z.string(), bytes: z.number().int(), components: z.number().int() });

export type Package = z.infer<typeof Package>;
export type Scanned = z.infer<typeof Scanned>;
export type Inspection = z.infer<typeof Inspection>;
export type Findings = z.infer<typeof Findings>;
export type Made = z.infer<typeof Made>;

export const scan = task({
  name: 'scan',
  input: z.object({ root: z.string(), folders: z.array(z.string()) }),
  output: Scanned,
  effects: 'none',
});

export const inspect = task({
  name: 'inspect',
  input: z.object({ root: z.string(), package: Package, paceMs: z.number() }),
  output: Inspection,
  effects: 'none',
  timeout: '1m',
  // A disk that stumbles is worth another try, a file that is gone is not.
  retry: { maxAttempts: 3, initial: '200ms', on: [{ match: 'ENOENT', action: 'fail' }] },
});

export const document = task({ name: 'document', input: Findings, output: Made, effects: 'idempotent', timeout: '1m' });

export const report = task({
  name: 'report',
  input: Findings.extend({ document: Made }),
  output: z.object({ file: z.string(), packages: z.number().int(), withoutLicence: z.number().int() }),
  effects: 'idempotent',
});

const Input = z.object({
  /** Absolute. */
  root: z.string(),
  /** Folders of packages under the root, such as `node_modules`. */
  folders: z.array(z.string()),
  /** Where the documents go; absolute. */
  out: z.string(),
  /** The least time that one inspection takes. 0: as fast as it goes. */
  paceMs: z.number().int().nonnegative(),
});

export const INSPECTIONS_AT_ONCE = 8;

export const sbom = workflow({ name: 'sbom', input: Input, timeout: '10m' }, (w, input) => {
  const found = w.run(scan, { root: input.root, folders: input.folders });
  const inspections = w.map(found.packages, inspect, (each) => ({ root: input.root, package: each, paceMs: input.paceMs }), {
    key: (each) => each.path,
    concurrency: INSPECTIONS_AT_ONCE,
    settle: true,
  });
  const made = w.run(document, { out: input.out, scan: found, inspections });
  const page = w.run(report, { out: input.out, scan: found, inspections, document: made });
  return { document: made, report: page };
});
