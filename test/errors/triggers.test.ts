import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { ERRORS, type ErrorCode, type PawlError } from '../../src/index.ts';
import { isPrinted } from '../docs/blocks.ts';
import './command-line.ts';
import './definitions.ts';
import './acts.ts';
import { met, triggers, type Trigger } from './kit.ts';
import './runs.ts';
import './schedules.ts';
import './signals.ts';
import './stores.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const codes = Object.keys(ERRORS) as ErrorCode[];

/** The first one of a code is the example of its page. */
const isExample = (one: Trigger): boolean => triggers.find(({ code }) => code === one.code) === one;

const exampleOf = (error: PawlError): string => {
  const page = readFileSync(root + error.docs, 'utf8');
  // A page shows the beginning of an id.
  return (/^```text\n(.*)\n```$/ms.exec(page)?.[1] ?? '').replaceAll(/\b[0-9a-z]{4}…/g, '…');
};

describe('a user who meets', () => {
  const named = triggers.map((one, i) => ({ ...one, i, title: `${one.code} (${one.names.map(({ source }) => source).join(' ')})` }));
  test.each(named)('$title is told what, where and what to do', async ({ i, code, names }) => {
    const one = triggers[i];
    if (one === undefined) throw new Error('no trigger');
    const error = await met(one);
    expect(error).toMatchObject({ name: 'PawlError', code });
    for (const name of names) expect(error.message).toMatch(name);
    expect(error.fix).toMatch(/^[A-Z].{15,}[.!]$/);
    expect(existsSync(root + error.docs), error.docs).toBe(true);
    const printed = `${code}  ${error.message}\n  ${error.fix}`;
    const example = exampleOf(error);
    if (isExample(one) && !isPrinted(example, printed)) expect(printed).toBe(example);
  });
});

test('every code of the registry can be met', () => {
  expect([...new Set(triggers.map(({ code }) => code))].toSorted()).toEqual(codes.toSorted());
});
