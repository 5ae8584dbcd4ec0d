import { describe, expect, test } from 'vitest';
import { isQuery, parseQuery } from './query.ts';

describe('a query', () => {
  test('names workflow, statuses, tag, key and time', () => {
    expect(parseQuery(['wf:order', 'status:failed,partial tag:eu', 'since:2h', 'key:"order 81"'])).toEqual({
      workflow: 'order',
      status: ['failed', 'partial'],
      tag: 'eu',
      since: 7_200_000,
      key: 'order 81',
    });
  });

  test('may hold colons and instants in its values', () => {
    expect(parseQuery(['key:order:o-81', 'since:2026-01-31T08:00Z'])).toEqual({ key: 'order:o-81', since: new Date('2026-01-31T08:00Z') });
  });

  test('without words is all runs', () => {
    expect(parseQuery([])).toEqual({});
  });

  test.each([
    ['color:red', /"color:red", which is none of its tokens: wf: status: tag: since: key:/],
    ['order', /"order", which is none/],
    ['wf:a order', /"order", which is none/],
    ['status:broken', /status:broken is no status/],
    ['since:yesterday', /neither a duration nor an instant/],
    ['wf:', /has no value/],
    ['wf:a wf:b', /wf: stands twice/],
  ])('%s is refused, naming what is known', (text, message) => {
    expect(() => parseQuery([text])).toThrow(
      expect.objectContaining({ code: 'CONFIG_USAGE', message: expect.stringMatching(message) as string }),
    );
  });

  test('is told from an id and from a key', () => {
    expect([isQuery(['wf:a', 'status:failed']), isQuery(['order:o-81']), isQuery(['7kq2']), isQuery([])]).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });
});
