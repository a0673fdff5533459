// The contract of the engine's door with @clickhouse/client. Prints one line a
// check, exits with the number of failures.
import { ClickHouseLogLevel, createClient, ClickHouseError } from '@clickhouse/client'
import { Readable } from 'node:stream'
import { createHash } from 'node:crypto'

const dsn = new URL(process.env.DSN)
const options = {
  url: dsn.origin,
  username: decodeURIComponent(dsn.username),
  password: decodeURIComponent(dsn.password),
  database: dsn.pathname.slice(1),
  log: { level: ClickHouseLogLevel.OFF },
}
let failures = 0

async function check(name, fn) {
  const start = Date.now()
  try {
    await fn()
    console.log(`ok ${name} ${Date.now() - start} ms`)
  } catch (e) {
    failures++
    console.log(`FAILED ${name}: ${e?.stack ?? e}`)
  }
}

function equal(got, want) {
  const [g, w] = [JSON.stringify(got), JSON.stringify(want)]
  if (g !== w) throw new Error(`got ${g}, want ${w}`)
}

for (const compression of [false, true]) {
  const c = createClient({ ...options, compression: { request: compression, response: compression } })
  const t = `n${compression ? 1 : 0}`
  const rows = async (query, query_params, format = 'JSONEachRow') =>
    (await c.query({ query, query_params, format })).json()
  const named = (name, fn) => check(`${name} (compression ${compression})`, fn)

  await named('ping', async () => equal((await c.ping()).success, true))
  await named('ping by select', async () => equal((await c.ping({ select: true })).success, true))
  await named('ddl', async () => {
    await c.command({ query: `CREATE TABLE ${t} (a UInt64, s String, d DateTime64(3, 'UTC')) ENGINE = MergeTree ORDER BY a` })
  })
  await named('insert values', async () => {
    const r = await c.insert({ table: t, format: 'JSONEachRow', values: [{ a: 1, s: 'ä\t"', d: '2026-01-02 03:04:05.678' }, { a: 2, s: 'b', d: 0 }] })
    equal(r.executed, true)
    equal(r.summary?.written_rows, '2')
  })
  await named('insert stream', async () => {
    const values = Readable.from((function* () { for (let i = 3; i < 5003; i++) yield { a: i, s: 'x'.repeat(50), d: 0 } })(), { objectMode: true })
    await c.insert({ table: t, format: 'JSONEachRow', values })
  })
  await named('read', async () => {
    equal(await rows(`SELECT * FROM ${t} WHERE a = 1`), [{ a: 1, s: 'ä\t"', d: '2026-01-02 03:04:05.678' }])
    equal(await rows(`SELECT count() AS n FROM ${t}`), [{ n: 5002 }])
    equal((await rows('SELECT 1 AS one', undefined, 'JSON')).data, [{ one: 1 }])
  })
  await named('parameters', async () => {
    equal(await rows('SELECT {s: String} AS s, {n: Int32} AS n, {l: Array(String)} AS l, {m: Map(String, UInt8)} AS m', { s: "a'\t\\b\n", n: -5, l: ["x'", 'y'], m: { k: 1 } }),
      [{ s: "a'\t\\b\n", n: -5, l: ["x'", 'y'], m: { k: 1 } }])
  })
  await named('settings', async () => {
    const r = await c.query({ query: "SELECT getSetting('max_block_size') AS n", format: 'JSONEachRow', clickhouse_settings: { max_block_size: '123' } })
    equal(await r.json(), [{ n: 123 }])
  })
  await named('query id', async () => {
    const r = await c.query({ query: 'SELECT 1', query_id: 'mine', format: 'CSV' })
    equal(r.query_id, 'mine')
    equal(await r.text(), '1\n')
  })
  await named('session', async () => {
    const session_id = `node${t}`
    await c.command({ query: 'CREATE TEMPORARY TABLE tmp (a UInt8)', session_id })
    await c.insert({ table: 'tmp', values: [[7]], format: 'JSONCompactEachRow', session_id })
    equal(await (await c.query({ query: 'SELECT a FROM tmp', format: 'JSONEachRow', session_id })).json(), [{ a: 7 }])
  })
  await named('large stream', async () => {
    const r = await c.query({ query: 'SELECT number AS n FROM numbers(1000000)', format: 'JSONEachRow' })
    let n = 0
    let last
    for await (const batch of r.stream()) { n += batch.length; last = batch.at(-1) }
    equal(n, 1000000)
    equal(last.json(), { n: 999999 })
  })
  await named('exec and raw bytes', async () => {
    const { stream } = await c.exec({ query: 'SELECT number FROM numbers(100000) FORMAT RowBinary' })
    const hash = createHash('sha256')
    let size = 0
    for await (const chunk of stream) { size += chunk.length; hash.update(chunk) }
    equal(size, 800000)
  })
  await named('error', async () => {
    try {
      await rows('SELECT * FROM nosuch')
    } catch (e) {
      equal([e instanceof ClickHouseError, e.code, e.type], [true, '60', 'UNKNOWN_TABLE'])
      return
    }
    throw new Error('no error')
  })
  await named('error in midstream', async () => {
    try {
      const r = await c.query({ query: 'SELECT throwIf(number = 3000000) FROM numbers(10000000)', format: 'CSV' })
      for await (const batch of r.stream()) void batch
    } catch (e) {
      // With gzip the broken connection comes first: ECONNRESET or a premature end.
      if (!compression) equal([e instanceof ClickHouseError, e.code], [true, '395'])
      return
    }
    throw new Error('a cut result passed for a whole one')
  })
  await named('cancel', async () => {
    const abort = new AbortController()
    const query = c.query({ query: 'SELECT count() FROM system.numbers -- node', format: 'JSON', abort_signal: abort.signal })
    const running = async () => (await rows("SELECT count() AS n FROM system.processes WHERE query LIKE '%-- node%' AND query NOT LIKE '%processes%'"))[0].n
    while ((await running()) === 0);
    abort.abort()
    await query.then(() => { throw new Error('not aborted') }, () => {})
    while ((await running()) !== 0);
  })
  await c.close()
}

await check('wrong password', async () => {
  const c = createClient({ ...options, password: 'wrong' })
  try {
    await c.query({ query: 'SELECT 1' })
  } catch (e) {
    equal(e.code, '516')
    return
  } finally {
    await c.close()
  }
  throw new Error('no error')
})

process.exit(failures)
