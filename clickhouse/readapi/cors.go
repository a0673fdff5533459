package readapi

import (
	"net/http"
	"slices"
)

// cors lets dashboards of the configured origins read: exact origins, a key in
// the header, never a cookie. It answers preflights and returns true then.
func cors(w http.ResponseWriter, r *http.Request, origins []string) (answered bool) {
	if len(origins) == 0 {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" || !slices.Contains(origins, origin) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "ETag, Retry-After, "+headerAsOf+", "+headerThrough+", "+headerTzdata+", "+headerDefinitions)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, PUT")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-None-Match")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}
