package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
	"time"
)

//go:embed templates/*.html
var templates embed.FS

//go:embed static
var static embed.FS

// Page is a template by name.
type Page string

// The pages.
const (
	Networks Page = "networks"
	Users    Page = "users"
	Record   Page = "record"
	Day      Page = "day"
	SignIn   Page = "signin"
	Problem  Page = "problem"
)

// Renderer holds the parsed templates. It is safe for concurrent use.
type Renderer struct{ pages map[Page]*template.Template }

// New parses the templates; an error is a mistake in them.
func New() (*Renderer, error) {
	r := &Renderer{pages: map[Page]*template.Template{}}
	for _, p := range []Page{Networks, Users, Record, Day, SignIn, Problem} {
		t, err := template.New("frame.html").Funcs(funcs()).ParseFS(templates, "templates/frame.html", "templates/parts.html", "templates/"+string(p)+".html")
		if err != nil {
			return nil, fmt.Errorf("parse template %s: %w", p, err)
		}
		r.pages[p] = t
	}
	return r, nil
}

// Render writes a page. It is built in memory first, so that an error is still
// an error answer; a page is at most a few hundred kilobytes, for its rows are
// limited.
func (r *Renderer) Render(w http.ResponseWriter, status int, p Page, view any) error {
	var out bytes.Buffer
	if err := r.pages[p].ExecuteTemplate(&out, "frame.html", view); err != nil {
		return fmt.Errorf("render page %s: %w", p, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", "en")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // a browser that is gone needs no page
	return nil
}

// Static serves the style sheet, the script and the icon under /static/.
func Static() http.Handler {
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic("static files are not embedded: " + err.Error()) // checked at build time
	}
	serve := http.StripPrefix("/static/", http.FileServerFS(files))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") {
			http.NotFound(w, r) // no listings
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=300")
		serve.ServeHTTP(w, r)
	})
}

func funcs() template.FuncMap {
	return template.FuncMap{
		"hm":      HM,
		"hms":     HMS,
		"date":    func(t time.Time) string { return t.Format("Mon, 2 Jan 2006") },
		"iso":     func(t time.Time) string { return t.Format(time.DateOnly) },
		"rfc3339": func(t time.Time) string { return t.Format(time.RFC3339) },
		"moment":  func(t time.Time) string { return t.Format("2 Jan 2006, 15:04:05 -07:00") },
		"hhmm":    func(t time.Time) string { return t.Format("15:04") },
		"ss":      func(t time.Time) string { return t.Format(":05") },
		"off":     func(t time.Time) string { return t.Format("-07:00") },
		"plural":  plural,
	}
}

// HM gives h:mm, as totals are shown; less than a minute is "< 1 min".
func HM(seconds int64) string {
	if seconds < 60 {
		return "< 1 min"
	}
	return fmt.Sprintf("%d:%02d", seconds/3600, seconds/60%60)
}

// HMS gives h:mm:ss, as rows that must add up are shown; a session of one
// signal, 0 s, is "< 1 min" (SEMANTICS.md section 6.1).
func HMS(seconds int64) string {
	if seconds == 0 {
		return "< 1 min"
	}
	return fmt.Sprintf("%d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
}

// plural gives "1 session", "2 sessions".
func plural(n any, one, many string) string {
	text := fmt.Sprint(n)
	if text == "1" {
		return text + " " + one
	}
	return text + " " + many
}
