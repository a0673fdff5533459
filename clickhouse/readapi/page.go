package readapi

import "net/http"

const contentSecurityPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func (a *API) registerPage() error { return nil }

func (a *API) deny(w http.ResponseWriter, r *http.Request) { writeProblem(w, unauthorized()) }
