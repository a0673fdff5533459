package readapi

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"daybook/clickhouse/readapi/web"
)

// contentSecurityPolicy allows our own files and nothing else, inline style
// and script included.
const contentSecurityPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// zoneCookie is what the page's script says of the browser's zone.
const zoneCookie = "daybook_viewer_tz"

// page serves the HTML: it asks the same questions as the API and shows them.
type page struct {
	*API

	html *web.Renderer
}

func (a *API) registerPage() error {
	html, err := web.New()
	if err != nil {
		return err
	}
	p := &page{API: a, html: html}
	for _, pattern := range []string{"GET /static/", "GET /enter", "GET /sign-in", "POST /sign-in"} {
		a.gate.open[pattern] = true // they let in, or hold nothing of anyone
	}
	a.denyPage = func(w http.ResponseWriter, r *http.Request) { p.signIn(w, r, http.StatusUnauthorized, false) }
	a.handle("GET /static/", web.Static().ServeHTTP)
	a.handle("GET /enter", p.enter)
	a.handle("GET /sign-in", func(w http.ResponseWriter, r *http.Request) { p.signIn(w, r, http.StatusOK, false) })
	a.handle("POST /sign-in", p.takeKey)
	a.handle("GET /{$}", p.serve(p.networks))
	a.handle("GET /n/{network}", p.serve(p.users))
	a.handle("GET /n/{network}/record", p.serve(p.record))
	a.handle("GET /n/{network}/day", p.serve(p.day))
	return nil
}

// deny answers a request without a right to its route: a problem to programs,
// the sign-in form to browsers.
func (a *API) deny(w http.ResponseWriter, r *http.Request) {
	browser := r.Method == http.MethodGet && !strings.HasPrefix(r.URL.Path, "/v1/") && strings.Contains(r.Header.Get("Accept"), "text/html")
	if browser && r.Header.Get("Authorization") == "" {
		a.denyPage(w, r)
		return
	}
	writeProblem(w, unauthorized())
}

// enter spends the one-time token of the address and lets the browser in. The
// token leaves the address bar at once.
func (p *page) enter(w http.ResponseWriter, r *http.Request) {
	token := r.URL.Query().Get("token")
	switch {
	case token != "" && p.gate.spend(token):
		p.gate.setCookie(w)
	case p.gate.hasCookie(r): // the link a second time, in the browser that it let in
	default:
		p.signIn(w, r, http.StatusUnauthorized, true)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// takeKey is the sign-in form: an API key in, the cookie out.
func (p *page) takeKey(w http.ResponseWriter, r *http.Request) {
	site := r.Header.Get("Sec-Fetch-Site")
	if (site != "" && site != "same-origin" && site != "none") || !p.gate.isKey(r.PostFormValue("key")) {
		p.signIn(w, r, http.StatusUnauthorized, true)
		return
	}
	p.gate.setCookie(w)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (p *page) signIn(w http.ResponseWriter, r *http.Request, status int, wrong bool) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="daybook"`)
	}
	p.render(w, r, status, web.SignIn, &web.SignInView{Frame: web.Frame{Title: "Sign in", SignedOut: true}, Wrong: wrong})
}

// serve runs one page within the limits of every answer, and shows what went
// wrong as a page.
func (p *page) serve(show func(context.Context, *http.Request) (web.Page, any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := p.queryContext(r.Context())
		defer cancel()
		name, view, err := show(ctx, r)
		if err == nil {
			p.render(w, r, http.StatusOK, name, view)
			return
		}
		var pr *Problem
		if !errors.As(err, &pr) {
			pr = fromStorage(p.storage(ctx, "page", err))
		}
		maps.Copy(w.Header(), pr.headers)
		p.render(w, r, pr.Status, web.Problem, &web.ProblemView{
			Frame: web.Frame{Title: pr.Title}, Detail: capital(pr.Detail), Remedy: pageRemedy(pr),
		})
	}
}

// pageRemedy keeps the remedies that help a person at a browser.
func pageRemedy(p *Problem) string {
	switch p.Code {
	case "invalid_parameter", "range_too_long":
		return capital(p.Remedy) + "."
	case "storage_unavailable", "query_timeout":
		return "Try again in a few seconds, or choose a shorter range."
	}
	return ""
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func (p *page) render(w http.ResponseWriter, r *http.Request, status int, name web.Page, view any) {
	if err := p.html.Render(w, status, name, view); err != nil {
		p.cfg.Logger.LogAttrs(r.Context(), slog.LevelError, "page not rendered", slog.String("page", string(name)), slog.Any("error", err))
		writeProblem(w, problem(http.StatusInternalServerError, "internal", "the page could not be made", "", "try again; the server's log says why"))
	}
}

// viewerZone gives the zone of the form, else of the script's cookie, if it is
// one; the page does without rather than refuse.
func viewerZone(r *http.Request) string {
	name := r.URL.Query().Get("viewer_tz")
	if name == "" {
		if c, err := r.Cookie(zoneCookie); err == nil {
			name, _ = url.QueryUnescape(c.Value)
		}
		if _, err := zoneNamed(name); err != nil {
			return ""
		}
	}
	return name
}

// fresh gives the stamp in the zone of the page.
func fresh(s *Stamp, zone *time.Location) *web.Fresh {
	f := &web.Fresh{AsOf: s.AsOf.In(zone)}
	if s.CompleteThrough != nil {
		f.Through = s.CompleteThrough.In(zone)
	}
	return f
}

// address builds an address within the page or the API.
func address(path string, params ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(params); i += 2 {
		if params[i+1] != "" {
			q.Set(params[i], params[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}
