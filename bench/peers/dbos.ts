import { DBOS } from '@dbos-inc/dbos-sdk';
import { flowInSteps, type Flow, type OpenPeer, type Output } from './peer.ts';

const POOL = 20;
const POLL_MS = 50;

export const open: OpenPeer = async ({ url, space }, ran) => {
  DBOS.setConfig({
    name: 'pawl-bench',
    systemDatabaseUrl: url,
    systemDatabaseSchemaName: space,
    systemDatabasePoolSize: POOL,
    logLevel: 'error',
    runAdminServer: false,
  });
  const flow = DBOS.registerWorkflow<Flow, Output>((input) => flowInSteps(input, (name, body) => DBOS.runStep(body, { name }), ran), {
    name: 'flow',
  });
  await DBOS.launch();
  const id = ({ run }: Flow): string => `${space}-${run}`;
  const runOne = async (one: Flow): Promise<Output> => (await DBOS.startWorkflow(flow, { workflowID: id(one) })(one)).getResult();
  return {
    runAll: (flows) => Promise.all(flows.map(runOne)),
    runOne,
    ended: async (flows) => {
      await Promise.all(flows.map((one) => DBOS.retrieveWorkflow(id(one)).getResult({ pollingIntervalMs: POLL_MS })));
    },
    close: () => DBOS.shutdown(),
  };
};
