/** Tasks that wait, in a graph that is given as data: the code that stands in it, and the data that is left. */
import { shown } from '../graph/problems.ts';
import { isSchema, jsonSchemaOf } from '../values/schema.ts';
import { isSignal } from './signal.ts';
import type { NodeCode } from '../types/types.ts';

type Bag = Readonly<Record<string, unknown>>;

interface Parts {
  /** The entry as graph data: what is wrong with that is found there. */
  readonly data: unknown;
  readonly code: NodeCode;
}

type Wrong = (key: string, message: string) => void;

/** A `wait` names its signal by the signal itself; a bare name is one that the engine has in `use`. */
export function waitParts(bag: Bag, wrong: Wrong): Parts {
  const { signal, where, allowFailure, ...rest } = bag;
  if (!isSignal(signal) && typeof signal !== 'string') wrong('signal', `signal must be a signal, or the name of one, not ${shown(signal)}`);
  if (where !== undefined && typeof where !== 'function') wrong('where', `where must be a predicate over a message, not ${shown(where)}`);
  const dataSchema = isSignal(signal) ? jsonSchemaOf(signal.schema, 'input') : undefined;
  return {
    data: {
      ...rest,
      signal: isSignal(signal) ? signal.name : signal,
      ...(where === undefined ? {} : { where: true }),
      ...allowed(allowFailure),
      ...(dataSchema === undefined ? {} : { dataSchema }),
    },
    code: {
      rules: [],
      ...(isSignal(signal) ? { signal, output: signal.schema } : {}),
      ...(typeof where === 'function' ? { when: where as (data: unknown) => boolean } : {}),
    },
  };
}

export function approveParts(bag: Bag, wrong: Wrong): Parts {
  const { form, allowFailure, ...rest } = bag;
  if (form !== undefined && !isSchema(form)) wrong('form', `form must be a schema, not ${shown(form)}`);
  const formSchema = isSchema(form) ? jsonSchemaOf(form, 'input') : undefined;
  return {
    data: {
      ...rest,
      ...(form === undefined ? {} : { form: true }),
      ...allowed(allowFailure),
      ...(formSchema === undefined ? {} : { formSchema }),
    },
    code: { rules: [], ...(isSchema(form) ? { form } : {}) },
  };
}

const allowed = (value: unknown): Bag => (value === undefined || value === false ? {} : { allowFailure: value });
