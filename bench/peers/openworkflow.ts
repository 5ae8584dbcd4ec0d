import { OpenWorkflow, type Backend } from 'openworkflow';
import { flowInSteps, until, type Flow, type OpenPeer, type Output, type PeerEngine, type Ran } from './peer.ts';

const CONCURRENCY = 100;
const POLL_MS = 5;

export const openOnSqlite: OpenPeer = async ({ folder }, ran) => {
  const { BackendSqlite } = await import('openworkflow/sqlite');
  return work(BackendSqlite.connect(`${folder}/openworkflow.db`), ran);
};

export const openOnPostgres: OpenPeer = async ({ url, space }, ran) => {
  const { BackendPostgres } = await import('openworkflow/postgres');
  return work(await BackendPostgres.connect(url, { schema: space }), ran);
};

async function work(backend: Backend, ran: Ran): Promise<PeerEngine> {
  const engine = new OpenWorkflow({ backend });
  const outputs = new Map<number, Output>();
  const flow = engine.defineWorkflow<Flow, Output>({ name: 'flow' }, async ({ input, step }) => {
    const output = await flowInSteps(input, (name, body) => step.run({ name }, body), ran);
    outputs.set(input.run, output);
    return output;
  });
  const worker = engine.newWorker({ concurrency: CONCURRENCY });
  await worker.start();
  let submitted = 0;

  const completed = async (count: number): Promise<boolean> => (await backend.countWorkflowRuns()).completed >= count;
  return {
    // A handle's result() would ask for each run once a second, and so be late by as much.
    runAll: async (flows) => {
      submitted += flows.length;
      await Promise.all(flows.map((one) => flow.run(one)));
      await until(async () => outputs.size >= submitted && (await completed(submitted)), POLL_MS);
      return flows.map(({ run }) => outputs.get(run) ?? { n: NaN });
    },
    runOne: async (one) => {
      submitted++;
      return (await flow.run(one)).result();
    },
    ended: async (flows) => until(() => completed(flows.length), POLL_MS),
    close: async () => {
      await worker.stop();
      await backend.stop();
    },
  };
}
