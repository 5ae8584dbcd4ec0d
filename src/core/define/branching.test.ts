import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { isPawlError } from '../errors.ts';
import type { GraphTask } from '../graph/graph.ts';
import type { Problem } from '../graph/problems.ts';
import { task } from './task.ts';
import type { AnyRef, Build, RefBase } from '../types/types.ts';
import { workflow } from './workflow.ts';

type Any = never;
const load = task({ name: 'load', run: async (i: { id: string }) => ({ id: i.id, total: 5 }) });

const built = workflow({ name: 'order', input: z.object({ id: z.string() }), guard: ({ id }) => id !== '' }, (w, input) => {
  const o = w.run(load, { id: input.id });
  const lane = w.switch(
    o,
    { big: [(v) => v.total > 3, () => w.run('check', { o }, () => 'big')], odd: [() => false, () => o.id] },
    { default: () => w.run('plain', {}, () => 'plain') },
  );
  return w.first({ lane, other: o.total }, { id: 'race' });
});

const shape = (tasks: readonly GraphTask[]): unknown[] =>
  tasks.map(({ ...rest }) => ({ ...rest, ...('contract' in rest ? { contract: 0 } : {}) }));

describe('a graph with a guard, a switch and a first', () => {
  test('is data: names of cases, no predicates', () => {
    expect(shape(built.graph.tasks)).toEqual([
      { id: 'guard', kind: 'guard' },
      { id: 'load', kind: 'task', task: 'load', input: { id: { $input: ['id'] } }, contract: 0 },
      { id: 'switch', kind: 'switch', input: { $ref: 'load' }, cases: ['big', 'odd'], default: 'branch' },
      { id: 'check', kind: 'task', input: { o: { $ref: 'load' } }, if: { when: 'switch', is: 'big' }, contract: 0 },
      { id: 'plain', kind: 'task', input: {}, if: { when: 'switch', is: 'default' }, contract: 0 },
      {
        id: 'switch.result',
        kind: 'branch',
        when: 'switch',
        cases: [
          { is: 'big', value: { $ref: 'check' }, members: ['check'] },
          { is: 'odd', value: { $ref: 'load', path: ['id'] }, members: ['load'] },
          { is: 'default', value: { $ref: 'plain' }, members: ['plain'] },
        ],
      },
      {
        id: 'race',
        kind: 'first',
        parts: [
          { name: 'lane', value: { $ref: 'switch.result' } },
          { name: 'other', value: { $ref: 'load', path: ['total'] } },
        ],
      },
    ]);
    expect(JSON.parse(JSON.stringify(built.graph))).toEqual(built.graph);
  });

  test('is the same from data, the guard behind the others', () => {
    const yes = (): boolean => true;
    const given = workflow.fromGraph({
      name: 'order',
      input: z.object({ id: z.string() }),
      guard: ({ id }) => id !== '',
      tasks: [
        { task: load, input: { id: { $input: ['id'] } } },
        {
          kind: 'switch',
          id: 'switch',
          input: { $ref: 'load' },
          cases: [
            { name: 'big', test: yes },
            { name: 'odd', test: yes },
          ],
          default: 'branch',
        },
        { id: 'check', run: () => 1, input: { o: { $ref: 'load' } }, if: { when: 'switch', is: 'big' } },
        { id: 'plain', run: () => 1, if: { when: 'switch', is: 'default' } },
        {
          kind: 'branch',
          id: 'switch.result',
          when: 'switch',
          cases: [
            { is: 'big', value: { $ref: 'check' } },
            { is: 'odd', value: { $ref: 'load', path: ['id'] } },
            { is: 'default', value: { $ref: 'plain' } },
          ],
        },
        {
          kind: 'first',
          id: 'race',
          parts: [
            { name: 'lane', value: { $ref: 'switch.result' } },
            { name: 'other', value: { $ref: 'load', path: ['total'] } },
          ],
        },
      ],
      output: { $ref: 'race' },
    });
    const [guard, ...rest] = built.graph.tasks;
    expect(given.graph).toEqual({ ...built.graph, tasks: [...rest, guard] });
    expect([...given.code.keys()].toSorted()).toEqual([...built.code.keys()].toSorted());
    expect(given.code.get('switch')?.cases?.map(({ name }) => name)).toEqual(['big', 'odd']);
    expect(workflow.fromGraph({ name: 'a', tasks: [{ id: 'ask', kind: 'guard', test: yes }] }).graph.tasks).toEqual([
      { id: 'ask', kind: 'guard' },
    ]);
  });
});

function refused(make: () => unknown): string[] {
  try {
    make();
  } catch (error) {
    if (!isPawlError(error, 'BUILD_INVALID')) throw error;
    return (error.details['problems'] as Problem[]).map(({ code, message }) => `${code} ${message}`);
  }
  return [];
}

describe('a builder is refused', () => {
  const building = (build: (w: Build, a: RefBase<number>) => unknown): string[] =>
    refused(() =>
      workflow(
        { name: 'a' },
        (w) =>
          void build(
            w,
            w.run('a', {}, () => 1),
          ),
      ),
    );
  const yes = (): boolean => true;
  const pair = [yes, () => 1] as const;

  test.each<[string, (w: Build, a: RefBase<number>) => unknown, RegExp[]]>([
    ['cases that are no object', (w) => w.switch(1, [] as Any), [/bad_type.*object/]],
    ['no case', (w) => w.switch(1, {}), [/bad_type.*an empty one/]],
    ['a case that is no pair', (w) => w.switch(1, { a: yes as Any }), [/bad_type.*"a" must be \[predicate/]],
    ['a case without a function', (w) => w.switch(1, { a: [yes, 5] as Any }), [/bad_type/]],
    ['a case that is a number', (w) => w.switch(1, { 1: pair }), [/bad_name.*number/]],
    ['a case called default', (w) => w.switch(1, { default: pair }), [/bad_name.*default/]],
    ['a default that is none', (w) => w.switch(1, { a: pair }, { default: 'none' as Any }), [/bad_type.*default/]],
    ['an unknown option', (w) => w.switch(1, { a: pair }, { key: 1 } as Any), [/bad_option.*key/]],
    ['an id twice', (w) => [w.switch(1, { a: pair }), w.switch(1, { a: pair })], [/duplicate_id/]],
    ['parts that are no object', (w) => w.first(5 as Any), [/bad_type.*object/]],
    ['no part', (w) => w.first({}), [/bad_type.*an empty one/]],
    ['a part that is no ref', (w, a) => w.first({ a, b: 5 as Any }), [/bad_type.*"b" must be the ref/]],
    ['a part that is read optionally', (w, a) => w.first({ a: w.optional(a) as Any }), [/bad_type.*"a"/]],
    ['a part that may be skipped', (w) => w.first({ b: w.run('b', {}, () => 1, { when: yes }) as AnyRef as Any }), [/maybe_ref.*part b/]],
    ['an option of first that is none', (w, a) => w.first({ a }, { after: [a] } as Any), [/bad_option.*after/]],
  ])('over %s', (_, build, wanted) => {
    const found = building(build);
    expect(found).toHaveLength(wanted.length);
    found.forEach((one, i) => expect(one).toMatch(wanted[i] ?? /never/));
  });

  test('for a guard that is no function, and for a task of its name', () => {
    expect(refused(() => workflow({ name: 'a', guard: true as Any }, () => 1))).toEqual([
      expect.stringMatching(/bad_type guard must be a predicate/),
    ]);
    expect(refused(() => workflow({ name: 'a', guard: yes }, (w) => void w.run('guard', {}, () => 1)))).toEqual([
      expect.stringMatching(/duplicate_id/),
    ]);
  });
});

describe('data is refused', () => {
  const yes = (): boolean => true;
  const of = (...tasks: readonly object[]): string[] => refused(() => workflow.fromGraph({ name: 'a', tasks: tasks }));
  const body = (id: string, more: object = {}): object => ({ id, run: () => 1, ...more });
  const choice = (...names: readonly unknown[]): object => ({
    id: 's',
    kind: 'switch',
    input: 1,
    cases: names.map((name) => ({ name, test: yes })),
  });
  const result = (...cases: readonly object[]): object => ({ id: 'r', kind: 'branch', when: 's', cases });

  test.each<[string, readonly object[], RegExp[]]>([
    ['a case twice', [choice('a', 'a')], [/bad_branch.*"a" is there twice/]],
    ['a case without a predicate', [{ id: 's', kind: 'switch', input: 1, cases: [{ name: 'a' }] }], [/bad_type.*cases\[0\].test/]],
    ['a case called default', [choice('default')], [/bad_name.*"default"/]],
    ['a case that is no text', [choice(5)], [/bad_name/]],
    ['an if of a case that is not there', [choice('a'), body('x', { if: { when: 's', is: 'b' } })], [/bad_branch.*case "b"/]],
    ['an if of a default that is not there', [choice('a'), body('x', { if: { when: 's', is: 'default' } })], [/bad_branch/]],
    ['an if of a boolean', [choice('a'), body('x', { if: { when: 's', is: true } })], [/bad_branch/]],
    ['a branch of a case that is not there', [choice('a'), result({ is: 'b', value: 1 })], [/bad_branch.*case "b" is no case/]],
    ['a branch of a case twice', [choice('a'), result({ is: 'a', value: 1 }, { is: 'a', value: 2 })], [/bad_branch.*twice/]],
    ['a branch without cases', [choice('a'), result()], [/bad_option/]],
    [
      'a plain read of a switch that may choose none',
      [choice('a', 'b'), result({ is: 'a', value: 1 }), body('x', { input: { $ref: 'r' } })],
      [/maybe_ref/],
    ],
    [
      'a part twice',
      [
        body('x'),
        {
          id: 'f',
          kind: 'first',
          parts: [
            { name: 'x', value: { $ref: 'x' } },
            { name: 'x', value: { $ref: 'x' } },
          ],
        },
      ],
      [/bad_branch.*part "x"/],
    ],
    ['a part that is a literal', [{ id: 'f', kind: 'first', parts: [{ name: 'x', value: 5 }] }], [/bad_expr/]],
    ['a part of nothing', [{ id: 'f', kind: 'first', parts: [{ name: 'x', value: { $ref: 'x' } }] }], [/unknown_id.*part x/]],
    [
      'a first in a circle',
      [{ id: 'f', kind: 'first', parts: [{ name: 'x', value: { $ref: 'x' } }] }, body('x', { after: ['f'] })],
      [/cycle/],
    ],
    [
      'a join of a first',
      [body('x'), { id: 'f', kind: 'first', join: 'all_done', parts: [{ name: 'x', value: { $ref: 'x' } }] }],
      [/bad_option.*join/],
    ],
    [
      'two guards',
      [
        { id: 'g', kind: 'guard', test: yes },
        { id: 'h', kind: 'guard', test: yes },
      ],
      [/bad_guard.*one guard/],
    ],
    ['a task behind the guard', [{ id: 'g', kind: 'guard', test: yes }, body('x', { after: ['g'] })], [/bad_guard.*after names/]],
    [
      'a task that reads the guard',
      [{ id: 'g', kind: 'guard', test: yes }, body('x', { input: { $ref: 'g' } })],
      [/bad_guard.*input names/],
    ],
    [
      'an if of the guard',
      [{ id: 'g', kind: 'guard', test: yes }, body('x', { if: { when: 'g', is: true } })],
      [/bad_guard/, /bad_branch/],
    ],
    ['a guard behind a task', [body('x'), { id: 'g', kind: 'guard', test: yes, after: ['x'] }], [/bad_option.*after/]],
    ['a guard without a predicate', [{ id: 'g', kind: 'guard' }], [/bad_type.*test/]],
  ])('over %s', (_, tasks, wanted) => {
    const found = of(...tasks);
    expect(found).toHaveLength(wanted.length);
    for (const one of wanted) expect(found).toContainEqual(expect.stringMatching(one));
  });
});
