/** Scoped to the drawing's own class: it may stand inside a page. */
const light = { page: '#fff', ink: '#1f2328', soft: '#59636e', line: '#8a94a0', box: '#f6f8fa', edge: '#6e7781', accent: '#0969da' };
const dark = { page: '#0d1117', ink: '#e6edf3', soft: '#9aa4af', line: '#57606a', box: '#161b22', edge: '#8b949e', accent: '#58a6ff' };

/** Box and border by state. */
const lightStates = {
  success: ['#e3f6e8', '#1a7f37'],
  failed: ['#ffe5e3', '#c62828'],
  upstream_failed: ['#fff1f0', '#c62828'],
  running: ['#ddf0ff', '#0969da'],
  queued: ['#eef7ff', '#54a0e8'],
  retrying: ['#fff3cd', '#9a6700'],
  waiting: ['#f1e6ff', '#8250df'],
  skipped: ['#f0f1f3', '#8a94a0'],
  cancelled: ['#f0f1f3', '#6e7781'],
  pending: ['#fff', '#afb8c1'],
} as const;

const darkStates: Readonly<Record<keyof typeof lightStates, readonly [string, string]>> = {
  success: ['#10281a', '#3fb950'],
  failed: ['#3a1516', '#f85149'],
  upstream_failed: ['#2a1517', '#f85149'],
  running: ['#0c2743', '#58a6ff'],
  queued: ['#0f1d2e', '#3b78b8'],
  retrying: ['#2f2508', '#d29922'],
  waiting: ['#241a3a', '#a371f7'],
  skipped: ['#1b2027', '#6e7781'],
  cancelled: ['#1b2027', '#8b949e'],
  pending: ['#0d1117', '#444c56'],
};

const rule = (selector: string, body: string): string => `.pawl-graph ${selector}{${body}}`;

function colours(of: typeof light, states: Readonly<Record<string, readonly [string, string]>>): string {
  return [
    rule('.page', `fill:${of.page}`),
    rule('.node rect,.pawl-graph .node polygon', `fill:${of.box};stroke:${of.line}`),
    rule('.label', `fill:${of.ink}`),
    rule('.fact', `fill:${of.soft}`),
    rule('.state', `fill:${of.ink}`),
    rule('.edge', `stroke:${of.edge}`),
    rule('.arrow', `fill:${of.edge}`),
    rule('.edge.branch', `stroke:${of.accent}`),
    rule('.arrow.branch', `fill:${of.accent}`),
    rule('.verdict', `fill:${of.accent};stroke:${of.page}`),
    ...Object.entries(states).map(
      ([status, [fill, stroke]]) =>
        rule(`.s-${status} rect,.pawl-graph .s-${status} polygon`, `fill:${fill};stroke:${stroke}`) +
        rule(`.node rect.bar.s-${status}`, `fill:${stroke};stroke:none`),
    ),
  ].join('');
}

export const STYLE =
  rule('text', 'font:11px ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;text-anchor:middle') +
  rule('text.label', 'font-size:13px;font-weight:600') +
  rule('text.verdict', 'font-weight:600;text-anchor:start;paint-order:stroke;stroke-width:3px') +
  rule('.node rect,.pawl-graph .node polygon', 'stroke-width:1.2px') +
  rule('.edge', 'fill:none;stroke-width:1.4px') +
  rule('.edge.order', 'stroke-dasharray:1.5 4;stroke-linecap:round') +
  rule('.edge.optional,.pawl-graph .edge.settled', 'stroke-dasharray:6 4') +
  rule('.edge.settled', 'stroke-dasharray:6 3 1.5 3') +
  colours(light, lightStates) +
  `@media (prefers-color-scheme:dark){${colours(dark, darkStates)}}`;
