/**
 * A worker: a process of its own that knows the bodies and works on the file until it is told to stop.
 *
 *   node examples/sbom/worker.ts [folder with demo.db]
 */
import { createHash } from 'node:crypto';
import { open, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createEngine, NonRetryableError } from '../../src/index.ts';
import { bomText } from './document.ts';
import { diary } from './log.ts';
import { byText, findLicence, findPackages, hashFiles, readManifest } from './packages.ts';
import { reportHtml, rowsOf } from './report.ts';
import { document, INSPECTIONS_AT_ONCE, inspect, report, sbom, scan } from './workflow.ts';

const out = process.argv[2] ?? fileURLToPath(new URL('./out/', import.meta.url));
const logged = diary(join(out, 'bodies.log'));

const bodies = [
  scan.implement(
    logged(async ({ root, folders }) => {
      const project = await readManifest(root);
      const found = await Promise.all(folders.map((folder) => findPackages(root, folder)));
      return {
        project: { name: project?.name ?? basename(root), version: project?.version ?? '0.0.0' },
        scannedAt: new Date(),
        packages: found.flat().sort((a, b) => byText(a.path, b.path)),
      };
    }),
  ),
  inspect.implement(
    logged(
      async ({ root, package: { path }, paceMs }, ctx) => {
        const beganAt = performance.now();
        const folder = join(root, path);
        const manifest = await readManifest(folder);
        if (manifest === null) throw new NonRetryableError('Its package.json is gone since the scan.', { code: 'MANIFEST_GONE' });
        const licence = await findLicence(folder, manifest);
        const hashed = await hashFiles(folder, ctx.signal);
        const leftMs = paceMs - (performance.now() - beganAt);
        if (leftMs > 0) await sleep(leftMs, undefined, { signal: ctx.signal });
        return { ...licence, ...hashed };
      },
      (input) => input.package.path,
    ),
  ),
  document.implement(
    logged(async (findings) => ({
      ...(await writeWhole(join(findings.out, 'bom.json'), await bomText(findings))),
      components: findings.scan.packages.length,
    })),
  ),
  report.implement(
    logged(async ({ document: made, ...findings }) => {
      const { file } = await writeWhole(join(findings.out, 'report.html'), reportHtml(findings, made));
      const rows = rowsOf(findings);
      return { file, packages: rows.length, withoutLicence: rows.filter((row) => row.problem !== undefined).length };
    }),
  ),
];

/** All of the file or none of it, and on the disk before the task counts as done. */
async function writeWhole(path: string, text: string): Promise<{ file: string; sha256: string; bytes: number }> {
  const handle = await open(`${path}.new`, 'w');
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${path}.new`, path);
  return { file: basename(path), sha256: createHash('sha256').update(text).digest('hex'), bytes: Buffer.byteLength(text) };
}

const engine = createEngine({
  store: `sqlite:${join(out, 'demo.db')}`,
  use: [sbom, ...bodies],
  concurrency: INSPECTIONS_AT_ONCE,
  lease: '3s',
});

let isStopping = false;
async function stop(): Promise<void> {
  if (isStopping) return;
  isStopping = true;
  await engine.close();
  process.exit(0);
}
process.on('SIGTERM', () => void stop());
process.on('SIGINT', () => void stop());
// Started by the demo: no worker stays behind when the demo is gone.
if (process.channel !== undefined) process.on('disconnect', () => void stop());

await engine.work();
if (process.channel === undefined) console.log(`Worker ${process.pid} works on ${join(out, 'demo.db')}. Ctrl-C ends it.`);
