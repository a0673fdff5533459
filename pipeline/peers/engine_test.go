package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// engine is the embedded ClickHouse in a process of its own, on a new folder.
type engine struct {
	*process

	address string // of its HTTP interface
	dir     string
}

// Accounts of the engine: its own user, and a password for the time of a run.
const (
	engineUser     = "daybook"
	enginePassword = "peers"
)

// engineMemory is what clickhouse alone may take for its own purposes: the
// sessions in SQL hold all events at once. With Daybook it has its default.
const engineMemory = 6 << 30

// mayReadKafka lets the product's own role use the Kafka engine, which it is not
// allowed otherwise: ClickHouse merges users.d/ into its users' file.
const mayReadKafka = `<clickhouse><roles><app><grants replace="replace">
  <query>GRANT SELECT, INSERT, ALTER, CREATE, DROP, TRUNCATE, OPTIMIZE, SHOW, dictGet ON daybook*.*</query>
  <query>GRANT SYSTEM, KILL QUERY, CREATE TEMPORARY TABLE, SHOW ON *.*</query>
  <query>GRANT SELECT ON system.*</query>
  <query>GRANT KAFKA ON *.*</query>
</grants></app></roles></clickhouse>`

func (s *site) startEngine(ctx context.Context, name string, memory int64) (*engine, error) {
	e := &engine{dir: filepath.Join(s.dir, name)}
	users := filepath.Join(e.dir, "config", "users.d")
	if err := os.MkdirAll(users, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(users, "kafka.xml"), []byte(mayReadKafka), 0o600); err != nil {
		return nil, err
	}
	config, err := json.Marshal(map[string]any{"Path": e.dir, "AppPassword": enginePassword, "MemoryBytes": memory})
	if err != nil {
		return nil, err
	}
	if e.process, err = launch("engine", filepath.Join(s.dir, "logs", name+".log"), s.daybook(ctx, nil, "engine")); err != nil {
		return nil, err
	}
	if _, err := e.input.Write(append(config, '\n')); err != nil {
		return nil, errors.Join(e.explain(err), e.close())
	}
	said, err := e.await(ctx, `{"address":"`)
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	e.address, _, _ = strings.Cut(said, `"`)
	return e, nil
}

func (e *engine) close() error {
	e.kill()
	return os.RemoveAll(e.dir)
}

// dsn is how Daybook finds the engine, or who stands before it.
func dsn(address string) string {
	return "http://" + engineUser + ":" + enginePassword + "@" + address + "/daybook"
}

// do sends a statement, with rows behind it or none, and gives the answer.
func (e *engine) do(ctx context.Context, statement string, rows io.Reader) (string, error) {
	body := io.Reader(strings.NewReader(statement + "\n"))
	if rows != nil {
		body = io.MultiReader(body, rows)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+e.address+"/?database=daybook", body)
	if err != nil {
		return "", err
	}
	request.SetBasicAuth(engineUser, enginePassword)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", statement, text)
	}
	return strings.TrimSpace(string(text)), err
}

// sessions gives what a table with the columns user_id ("network/user"),
// started_ms, ended_ms and events holds.
func (e *engine) sessions(ctx context.Context, from string) (got sessions, err error) {
	text, err := e.do(ctx, `SELECT count(), sum(events), sum(CRC32(concat(who, ' ', toString(started_ms), ' ', toString(ended_ms), ' ', toString(events)))) FROM `+from, nil)
	if err != nil {
		return got, err
	}
	_, err = fmt.Sscan(text, &got.count, &got.events, &got.sum)
	return got, err
}

// awaitNumber asks until the answer is at least n, and tells when it was.
func (e *engine) awaitNumber(ctx context.Context, question string, n int) (time.Time, error) {
	for tick := time.Tick(100 * time.Millisecond); ; {
		text, err := e.do(ctx, question, nil)
		if err != nil {
			return time.Time{}, err
		}
		if got, err := strconv.Atoi(text); err != nil || got >= n {
			return time.Now(), err
		}
		select {
		case <-tick:
		case <-ctx.Done():
			return time.Time{}, e.explain(fmt.Errorf("%s: got %s, want %d: %w", question, text, n, context.Cause(ctx)))
		}
	}
}

// settled is the engine's usage once the merges are done that the inserts have
// called for: they are work of the same rows, and count as the run's.
func (e *engine) settled(ctx context.Context) (usage, error) {
	for quiet := 0; quiet < 5; quiet++ {
		text, err := e.do(ctx, "SELECT count() FROM system.merges", nil)
		if err != nil {
			return usage{}, err
		}
		if text != "0" {
			quiet = -1
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return usage{}, e.explain(context.Cause(ctx))
		}
	}
	e.end()
	return e.sofar(), nil
}
