package engine

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// door serves the engine as the ClickHouse HTTP interface.
type door struct {
	cfg         Config
	log         *slog.Logger
	accounts    accounts
	pool        *pool
	sessions    *sessions
	displayName string
	version     string // of ClickHouse, four numbers
	now         func() time.Time
	chunks      sync.Pool // of *[insertChunk]byte: rows on their way to the engine

	// killer is the connection from which running statements are cancelled.
	killer   *conn
	killerMu sync.Mutex
}

// readTimeout is how long a client may pause within its request's body.
const readTimeout = 10 * time.Minute

// ServeHTTP is the whole interface: statements at /, health at /ping.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/ping" || r.URL.Path == "/replicas_status":
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		_, _ = io.WriteString(w, "Ok.\n") // the client may be gone
	case r.URL.Path != "/" && r.URL.Path != "/query":
		http.Error(w, "There is no handle "+r.URL.Path+"; use / for queries and /ping for health checks.", http.StatusNotFound)
	case r.Method == http.MethodOptions:
		w.Header().Set("Allow", "GET, HEAD, POST, OPTIONS")
		w.WriteHeader(http.StatusNoContent)
	case r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost:
		w.Header().Set("Allow", "GET, HEAD, POST, OPTIONS")
		http.Error(w, "use GET or POST", http.StatusMethodNotAllowed)
	case r.Method != http.MethodPost && !strings.Contains(r.URL.RawQuery, "query="):
		_, _ = io.WriteString(w, "Ok.\n") // the client may be gone
	default:
		d.serveStatement(w, r)
	}
}

func (d *door) serveStatement(w http.ResponseWriter, r *http.Request) {
	p := d.newResponse(w, r)
	_ = p.control.SetReadDeadline(time.Now().Add(readTimeout)) // not supported by test recorders only
	req, err := d.parse(r)
	if req != nil {
		w.Header().Set("X-ClickHouse-Query-Id", req.queryID)
	}
	if err == nil {
		p.prepare(req)
		err = d.run(r.Context(), req, p, r)
	}
	if err == nil {
		err = p.end()
	}
	if err != nil {
		drain(r)
		p.fail(err)
	}
}

// end closes the encodings.
func (p *response) end() error { return p.enc.Close() }

// drain reads what a client is still sending, within reason: a client that
// gets a reset while it writes never sees the error.
func drain(r *http.Request) {
	const most = 64 << 20
	if r.Body != nil {
		_, _ = io.CopyN(io.Discard, r.Body, most) // best effort
	}
}

// run executes the request's statement and answers.
func (d *door) run(ctx context.Context, req *request, p *response, r *http.Request) error {
	st, err := readStatement(req.text, d.cfg.MaxStatement)
	if err != nil {
		return err
	}
	if isHello(req, st.text) {
		b := helloBlock(req.protocol, d.displayName, d.version)
		p.begin("Native", len(b))
		return p.write(b)
	}
	if len(st.text) == 0 {
		return &Error{Code: codeSyntaxError, Text: "Syntax error: Empty query. (SYNTAX_ERROR)"}
	}
	l, err := d.lease(ctx, req)
	if err != nil {
		return err
	}
	defer l.release()
	unguard := d.guard(ctx, l.c)
	defer func() { l.c.broken = unguard() || l.c.broken }()
	if !l.c.has(req.settings) { // before the gate: a limit left behind could hide what it looks for
		l.c.resetSettings()
	}
	class, err := d.admit(l.c, req, st)
	if err != nil {
		return err
	}
	if class == classControl {
		l.c.spoiled = true
	}
	undo, err := d.prepareConn(l.c, req)
	defer undo()
	if !mayKeepSettings(req, st, class) {
		defer l.c.resetSettings()
	}
	if err != nil {
		return err
	}
	if st.isInsert() {
		return d.insert(l.c, req, st, p, r)
	}
	return d.query(l.c, req, st, class, p)
}

// prepareConn makes the connection what the request asked for: its database,
// its settings for this one statement, its external tables.
func (d *door) prepareConn(c *conn, req *request) (undo func(), err error) {
	undo = func() {}
	if err := d.useDatabase(c, req); err != nil {
		return undo, err
	}
	if err := c.useSettings(req.settings); err != nil {
		return undo, err
	}
	if len(req.external) == 0 {
		return undo, nil
	}
	return createExternal(c, req.external)
}

// useDatabase changes the current database where it is another one. A session
// keeps its own unless the request names one.
func (d *door) useDatabase(c *conn, req *request) error {
	database := req.database
	if database == "" {
		if req.sessionID != "" && c.database != "" {
			return nil
		}
		database = d.cfg.Database
	}
	if c.database == database && !c.spoiled {
		return nil
	}
	if err := c.exec("USE " + quoteName(database)); err != nil {
		return err
	}
	c.database = database
	return nil
}

// guard cancels the connection's statement when the request's context ends. The
// returned function ends the guard, tells whether it cancelled, and must run
// before the connection goes back: a late KILL would hit the next request's
// statement.
func (d *door) guard(ctx context.Context, c *conn) (unguard func() bool) {
	const again = 20 * time.Millisecond // a statement may start between two KILLs
	done, gone := make(chan struct{}), make(chan struct{})
	fired := false
	go func() {
		defer close(gone)
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
		fired = true
		ticker := time.NewTicker(again)
		defer ticker.Stop()
		for {
			d.kill(c.id)
			select {
			case <-done:
				return
			case <-ticker.C:
			}
		}
	}()
	return func() bool { close(done); <-gone; return fired }
}

// kill cancels what runs under a connection's mark. Only ASYNC returns.
func (d *door) kill(id string) {
	d.killerMu.Lock()
	defer d.killerMu.Unlock()
	if d.killer == nil {
		return
	}
	if err := d.killer.exec("KILL QUERY WHERE Settings['log_comment'] = " + quote(id) + " ASYNC"); err != nil {
		d.log.Warn("cancel statement", slog.String("error", err.Error()))
	}
}
