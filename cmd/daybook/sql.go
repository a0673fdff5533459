package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

type sqlCmd struct {
	Statement string `arg:"" help:"SQL; - reads it from stdin."`
	Format    string `help:"Output format of ClickHouse (default TabSeparated)." placeholder:"FORMAT"`

	Param map[string]string `help:"Value of a parameter that the statement names, such as {network:String}." placeholder:"NAME=VALUE"`
}

// Help is shown under the command's usage.
func (*sqlCmd) Help() string {
	return `Sends the statement to the configured ClickHouse and streams the answer to stdout. A FORMAT in the
statement wins over --format.

Examples:
  daybook sql "SELECT count(), sum(duration_s) FROM sessions"
  daybook sql "SELECT * FROM daily_users ORDER BY date LIMIT 10" --format PrettyCompact
  daybook sql - --param network=shop --param from=2026-05-01 --param to=2026-05-31 < clickhouse/cookbook/bounces.sql`
}

// Run asks and streams. An error in the middle of an answer is an error, not a
// short answer.
func (c *sqlCmd) Run(ctx context.Context, a *app) error {
	found, err := a.needClickHouse()
	if err != nil {
		return err
	}
	text := c.Statement
	if text == "-" {
		all, err := io.ReadAll(a.std.in)
		if err != nil {
			return fmt.Errorf("read statement: %w", err)
		}
		text = string(all)
	}
	format := c.Format
	if format == "" {
		format = "TabSeparated"
	}
	answer, err := askClickHouse(ctx, found.ClickHouse, text, format, c.Param)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Close() }() // read to its end, or given up
	guard := &exceptionGuard{out: a.std.out}
	if _, err := io.Copy(guard, answer); err != nil {
		if guard.exception() != "" {
			return errors.New(guard.exception())
		}
		return fmt.Errorf("read answer of clickhouse: %w", err)
	}
	return guard.finish()
}

// askClickHouse posts a statement to the HTTP interface; the answer streams.
func askClickHouse(ctx context.Context, server *url.URL, statement, format string, params map[string]string) (io.ReadCloser, error) {
	address := *server
	password, _ := address.User.Password()
	address.User, address.Path = nil, "/"
	parameters := url.Values{"default_format": {format}}
	for name, value := range params {
		parameters.Set("param_"+name, value)
	}
	if name := database(server); name != "" {
		parameters.Set("database", name)
	}
	address.RawQuery = parameters.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address.String(), strings.NewReader(statement))
	if err != nil {
		return nil, fmt.Errorf("ask clickhouse: %w", err)
	}
	if user := server.User.Username(); user != "" {
		req.SetBasicAuth(user, password)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask clickhouse: %w", err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer func() { _ = answer.Body.Close() }() // its text is all that is wanted
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if err != nil || len(text) == 0 {
		return nil, fmt.Errorf("ask clickhouse: status %s", answer.Status)
	}
	return nil, errors.New(strings.TrimSpace(string(text)))
}

// exceptionGuard passes an answer on and holds its tail back, because an error
// in the middle of an answer comes at its end: between two __exception__ marks
// in new servers, as a bare last line in old ones.
type exceptionGuard struct {
	out  io.Writer
	tail []byte
}

// tailBytes is more than the longest exception that ClickHouse writes (16 KiB
// between its marks).
const tailBytes = 20 << 10

// Write passes on everything but the last tailBytes.
func (g *exceptionGuard) Write(p []byte) (int, error) {
	g.tail = append(g.tail, p...)
	if more := len(g.tail) - tailBytes; more > 64<<10 {
		if _, err := g.out.Write(g.tail[:more]); err != nil {
			return 0, err
		}
		g.tail = append(g.tail[:0], g.tail[more:]...)
	}
	return len(p), nil
}

// exception gives the error text in the tail, "" if there is none.
func (g *exceptionGuard) exception() string {
	found := exceptionPattern().FindSubmatch(g.tail)
	if found == nil {
		return ""
	}
	return strings.TrimSpace(string(found[1]))
}

func exceptionPattern() *regexp.Regexp {
	return regexp.MustCompile(`(?s)\r\n__exception__\r\n[^\r\n]*\r\n(.*?)\r?\n\d+ [^\r\n]*\r\n__exception__\r\n`)
}

// finish writes the tail, or tells the exception in it.
func (g *exceptionGuard) finish() error {
	if text := g.exception(); text != "" {
		return errors.New(text)
	}
	if _, err := g.out.Write(g.tail); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}
