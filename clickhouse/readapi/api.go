package readapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"daybook/clickhouse/query"
)

// API answers reads over HTTP: JSON and CSV under /v1, the page under /. It
// holds no state but the unused one-time tokens of the page.
type API struct {
	cfg        Config
	db         query.Exporter
	gate       *gate
	cursors    cursors
	metrics    *Metrics
	mux        *http.ServeMux
	routes     []string // patterns of mux, in order of registration
	huma       huma.API
	partitions partitionCache
	zones      zoneCache
	exports    chan struct{} // one token a running CSV

	denyPage http.HandlerFunc // the sign-in form, for browsers
}

// New makes the API. It fails without a database or a key, and if its metrics
// are registered already.
func New(cfg Config) (*API, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	metrics, err := NewMetrics(cfg.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register metrics of read API: %w", err)
	}
	a := &API{
		cfg: cfg, db: cfg.DB, gate: newGate(cfg), metrics: metrics, mux: http.NewServeMux(),
		cursors: cursors{key: derive(cfg.AdminKeys, "daybook cursor v1")},
		exports: make(chan struct{}, cfg.MaxExports), // a semaphore: its size is its meaning
	}
	metrics.exports.WithLabelValues("limit").Set(float64(cfg.MaxExports))
	metrics.exports.WithLabelValues("running").Set(0)
	a.huma = humago.New(routeList{a}, humaConfig())
	a.registerNetworks()
	a.registerUsers()
	a.registerActivityRecord()
	a.registerActivityDay()
	a.registerSessions()
	a.registerRollups()
	if err := a.registerOpenAPI(); err != nil {
		return nil, err
	}
	if err := a.registerPage(); err != nil {
		return nil, err
	}
	a.mux.HandleFunc("/", a.noRoute)
	metrics.routes(a.routes)
	return a, nil
}

// routeList is the mux as huma sees it: it notes every pattern.
type routeList struct{ a *API }

// HandleFunc registers a pattern.
func (l routeList) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	l.a.handle(pattern, handler)
}

// ServeHTTP serves huma's own tests; requests come through API.ServeHTTP.
func (l routeList) ServeHTTP(w http.ResponseWriter, r *http.Request) { l.a.mux.ServeHTTP(w, r) }

func (a *API) handle(pattern string, handler http.HandlerFunc) {
	a.routes = append(a.routes, pattern)
	a.mux.HandleFunc(pattern, handler)
}

func humaConfig() huma.Config {
	cfg := huma.DefaultConfig("Daybook", "1")
	cfg.Info.Description = "Who was active when, for how long: presence sessions by local day. " +
		"Instants are RFC 3339 with the subject's offset, durations whole seconds, dates local to the subject. " +
		"Every list is also CSV: Accept: text/csv or ?format=csv; CSV ignores limit and cursor and holds the whole range."
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "", "", "" // the document is served by us; the docs page loads scripts from outside
	cfg.CreateHooks = nil                                       // no $schema in answers
	cfg.Transformers = []huma.Transformer{transformErrors}
	cfg.RejectUnknownQueryParameters = true
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key": {Type: "http", Scheme: "bearer", Description: "An API key."},
	}
	cfg.Security = []map[string][]string{{"key": {}}}
	return cfg
}

// OpenAPI gives the document that /openapi.json serves.
func (a *API) OpenAPI() ([]byte, error) {
	doc, err := json.Marshal(a.huma.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("encode openapi document: %w", err)
	}
	return doc, nil
}

func (a *API) registerOpenAPI() error {
	doc, err := a.OpenAPI()
	if err != nil {
		return err
	}
	const pattern = "GET /openapi.json"
	a.gate.open[pattern] = true // it describes the doors and holds nothing of anyone
	a.handle(pattern, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		serveTagged(w, r, doc, doc)
	})
	return nil
}

// Limits of a request. They bound what one client can hold.
const (
	maxHeaderBytes = 32 << 10
	maxBodyBytes   = 64 << 10 // the largest body is a network's settings
	readTimeout    = 15 * time.Second
	writeTimeout   = 30 * time.Second // of one block of a CSV, and beyond QueryTimeout of an answer
)

// NewServer gives the HTTP server for the API with its timeouts and limits;
// the caller listens, serves and shuts it down. It sets no WriteTimeout: the
// API sets the deadline of each answer, and moves it while a CSV flows.
func NewServer(a *API) *http.Server {
	return &http.Server{
		Handler:           a,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       readTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(a.cfg.Logger.Handler(), slog.LevelDebug), // broken connections of clients
	}
}

// ServeHTTP takes every request through the same steps: measure, set safe
// headers and limits, answer CORS, let in or deny, route.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	_, pattern := a.mux.Handler(r)
	rec := &recorder{ResponseWriter: w}
	a.metrics.active.Inc()
	defer func() {
		a.metrics.active.Dec()
		route := pattern
		if route == "" || route == "/" {
			route = "other"
		}
		a.metrics.observe(route, rec.status, time.Since(start))
	}()
	defer a.recover(rec, r, pattern)

	h := rec.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", contentSecurityPolicy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store") // an answer that may be kept says so itself
	_ = http.NewResponseController(rec).SetWriteDeadline(start.Add(a.cfg.QueryTimeout + writeTimeout))
	r.Body = http.MaxBytesReader(rec, r.Body, maxBodyBytes)

	if cors(rec, r, a.cfg.Origins) {
		return
	}
	if !a.gate.allow(r, pattern) {
		a.deny(rec, r)
		return
	}
	a.mux.ServeHTTP(rec, r)
}

// recover turns a panic of a handler into a 500, logged by route. A CSV that
// broke in the middle goes on as http.ErrAbortHandler: the client must see a
// cut connection, not a short file.
func (a *API) recover(w *recorder, r *http.Request, pattern string) {
	p := recover()
	if p == nil {
		return
	}
	err, isErr := p.(error)
	if isErr && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	a.cfg.Logger.LogAttrs(r.Context(), slog.LevelError, "request panicked",
		slog.String("route", pattern), slog.String("panic", fmt.Sprint(p)))
	if w.status != 0 {
		panic(http.ErrAbortHandler)
	}
	writeProblem(w, problem(http.StatusInternalServerError, "internal", "the request could not be answered", "", "try again; the server's log says why"))
}

// noRoute answers what no route takes: 405 if the path is known under another
// method, else 404.
func (a *API) noRoute(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut} {
		try := r.Clone(r.Context())
		try.Method = method
		if _, pattern := a.mux.Handler(try); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		p := problem(http.StatusMethodNotAllowed, "method_not_allowed", "this path does not take this method", "", "see the Allow header")
		p.headers = http.Header{"Allow": allowed}
		writeProblem(w, p)
		return
	}
	writeProblem(w, problem(http.StatusNotFound, "unknown_route", "there is nothing at this path", "",
		"see /openapi.json; percent-encode ids (/ is %2F)"))
}

// queryContext bounds everything that one answer asks of storage.
func (a *API) queryContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, a.cfg.QueryTimeout)
}
