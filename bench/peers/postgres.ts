import type { Place } from './peer.ts';

/** Everything that a round wrote, whatever the peer: it had a schema of its own. */
export async function dropSchema({ url, space }: Place): Promise<void> {
  await query(url, `DROP SCHEMA IF EXISTS "${space}" CASCADE`);
}

/** A server that may forget what it has said to be committed measures something else. */
export async function checkDurable({ url }: Place): Promise<void> {
  for (const name of ['fsync', 'synchronous_commit', 'full_page_writes']) {
    const [row] = await query(url, `SHOW ${name}`);
    if (row?.[name] !== 'on') throw new Error(`${name} is ${String(row?.[name])} on this server; it must be on`);
  }
}

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const { default: postgres } = await import('postgres');
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  try {
    return await sql.unsafe(text);
  } finally {
    await sql.end();
  }
}
