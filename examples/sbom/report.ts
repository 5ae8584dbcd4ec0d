/** The page for people: what has no licence first, then how often each licence occurs, then everything. */
import { byText } from './packages.ts';
import type { Findings, Inspection, Made, Package } from './workflow.ts';

interface Row {
  readonly package: Package;
  readonly found?: Inspection;
  readonly problem?: { readonly code: string; readonly message: string };
}

export function rowsOf({ scan, inspections }: Findings): Row[] {
  const rows = scan.packages.map((each, i): Row => {
    const settled = inspections[i];
    if (settled?.status === 'success') return { package: each, found: settled.value };
    const { code, message } =
      settled === undefined || settled.status === 'skipped' ? { code: 'NOT_INSPECTED', message: '' } : settled.error;
    return { package: each, problem: { code, message } };
  });
  return rows.sort((a, b) => byText(a.package.name, b.package.name) || byText(a.package.path, b.package.path));
}

/** Nothing from a package's manifest reaches the page unescaped. */
export function escapeHtml(text: string): string {
  const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? '');
}

export function reportHtml(findings: Findings, made: Made): string {
  const { project, scannedAt, packages } = findings.scan;
  const rows = rowsOf(findings);
  const wrong = rows.filter((row) => row.problem !== undefined);
  const title = `Packages of ${project.name} ${project.version}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
<p>${packages.length} packages, ${wrong.length} without a known licence. Scanned on ${scannedAt.toISOString().slice(0, 16).replace('T', ' at ')} UTC.
The same as CycloneDX 1.6: <a href="${escapeHtml(encodeURI(made.file))}">${escapeHtml(made.file)}</a>, sha256 <code>${escapeHtml(made.sha256)}</code></p>

<h2>Without a known licence</h2>
${wrong.length === 0 ? '<p>None.</p>' : table(['Package', 'Version', 'Why', 'Place'], wrong.map(problemCells))}

<h2>Licences</h2>
${table(['Licence', 'Packages'], tally(rows))}

<h2>All packages with a licence</h2>
${table(['Package', 'Version', 'Licence', 'Told by', 'Files', 'Size', 'sha256 of its files (start)'], rows.flatMap(foundCells))}
</main>
</body>
</html>
`;
}

/** A cell is text, or a number: that stands on the right. */
type Cell = string | number | { readonly code: string };

function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const cell = (value: Cell): string => {
    if (typeof value === 'number') return `<td class="number">${value.toLocaleString('en')}</td>`;
    return typeof value === 'string' ? `<td>${escapeHtml(value)}</td>` : `<td><code>${escapeHtml(value.code)}</code></td>`;
  };
  const lines = rows.map((row) => `<tr>${row.map(cell).join('')}</tr>`);
  const first = rows[0];
  const names = head.map((name, i) => `<th${typeof first?.[i] === 'number' ? ' class="number"' : ''}>${name}</th>`);
  return `<div class="wide"><table>\n<thead><tr>${names.join('')}</tr></thead>\n<tbody>\n${lines.join('\n')}\n</tbody>\n</table></div>`;
}

function problemCells({ package: { name, version, path }, problem }: Row): Cell[] {
  return [name, version, `${problem?.message ?? ''} (${problem?.code ?? ''})`, { code: path }];
}

function foundCells({ package: { name, version }, found }: Row): Cell[][] {
  if (found === undefined) return [];
  return [[name, version, found.licence, found.licenceFrom, found.files, kilobytes(found.bytes), { code: found.sha256.slice(0, 16) }]];
}

function kilobytes(bytes: number): string {
  return bytes < 1_000_000 ? `${Math.ceil(bytes / 1_000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function tally(rows: readonly Row[]): Cell[][] {
  const counts = new Map<string, number>();
  for (const { found } of rows) if (found !== undefined) counts.set(found.licence, (counts.get(found.licence) ?? 0) + 1);
  return [...counts].sort(([a, many], [b, more]) => more - many || byText(a, b));
}

const STYLE = `
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 0.3rem 1rem 0.3rem 0; border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); vertical-align: top; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
code { font-size: 0.875em; overflow-wrap: anywhere; }
`;
