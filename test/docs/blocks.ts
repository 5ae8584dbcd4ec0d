/** The files that a Markdown document shows: fenced `ts` blocks whose first line is a comment with the file's name. */
export interface Shown {
  readonly name: string;
  readonly code: string;
  /** What the document says that `node <name>` prints: the `text` block behind it that begins with that command. */
  readonly prints: string | null;
}

export interface Fence {
  readonly language: string;
  readonly line: number;
  readonly text: string;
}

export function fences(markdown: string): Fence[] {
  const found: Fence[] = [];
  let open: { language: string; line: number; lines: string[] } | null = null;
  for (const [i, line] of markdown.split('\n').entries()) {
    const fence = /^```(\w*)/.exec(line);
    if (open !== null) {
      if (fence === null) open.lines.push(line);
      else {
        found.push({ language: open.language, line: open.line, text: open.lines.join('\n') });
        open = null;
      }
    } else if (fence !== null) open = { language: fence[1] ?? '', line: i + 1, lines: [] };
  }
  return found;
}

/** Throws where a block names no file, or two name the same: every block is checked, or the document is wrong. */
export function shownFiles(markdown: string): Shown[] {
  const all = fences(markdown);
  const files: Shown[] = [];
  for (const { language, line, text } of all) {
    if (!/^(ts|typescript|js|javascript)$/.test(language)) continue;
    const name = /^\/\/ ([\w.-]+\.ts)$/m.exec(text.split('\n')[0] ?? '')?.[1];
    if (name === undefined) throw new Error(`the block at line ${line} does not begin with the name of a file`);
    if (files.some((file) => file.name === name)) throw new Error(`line ${line}: there are two blocks ${name}`);
    const command = `$ node ${name}\n`;
    const output = all.find((one) => one.language === 'text' && one.text.startsWith(command));
    files.push({ name, code: `${text}\n`, prints: output === undefined ? null : output.text.slice(command.length) });
  }
  return files;
}

/** The whole of what was printed against what is shown; `…` stands for anything within a line. */
export function isPrinted(shown: string, printed: string): boolean {
  const pattern = shown
    .trimEnd()
    .split('…')
    .map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`))
    .join('.*');
  return new RegExp(`^${pattern}$`).test(printed.trimEnd());
}
