package readapi

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
)

// KeyHash is the SHA-256 of an API key: all that the server keeps of it.
type KeyHash [sha256.Size]byte

// HashKey gives the hash under which a key is kept. Keys are 32 random bytes,
// so a plain hash cannot be searched.
func HashKey(key string) KeyHash { return sha256.Sum256([]byte(key)) }

// ParseKeyHash reads the hex form of a KeyHash, as configuration holds it.
func ParseKeyHash(s string) (KeyHash, error) {
	var h KeyHash
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != len(h) {
		return h, errors.New("parse key hash: want 64 hex digits, the SHA-256 of the key")
	}
	copy(h[:], raw)
	return h, nil
}

// String gives the hex form.
func (h KeyHash) String() string { return hex.EncodeToString(h[:]) }

// NewKey makes an API key: 32 random bytes, printable.
func NewKey() string { return "dbk_" + randomText() }

func randomText() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

const (
	cookieName    = "daybook_page"
	cookieFor     = 12 * time.Hour
	maxPageTokens = 16 // unused one-time tokens; the oldest goes
)

// gate is the one place that decides who may read what. Everything is denied
// that is not on its list of open routes and does not show an admin key, or,
// for reading only, the cookie of the page.
type gate struct {
	keys   []KeyHash
	open   map[string]bool // mux patterns that answer without a key
	clock  func() time.Time
	secure bool // the cookie is for https only

	cookieKey [sha256.Size]byte

	mu     sync.Mutex
	tokens []KeyHash // one-time page tokens, hashed, oldest first
}

func newGate(cfg Config) *gate {
	g := &gate{keys: cfg.AdminKeys, clock: cfg.Clock, secure: cfg.SecureCookie, open: map[string]bool{}}
	g.cookieKey = derive(cfg.AdminKeys, "daybook page cookie v1")
	return g
}

// derive makes a key of the installation's admin keys, so that cookies and
// cursors hold on every API instance, and end when the keys are changed.
func derive(keys []KeyHash, purpose string) [sha256.Size]byte {
	h := sha256.New()
	for _, k := range keys {
		h.Write(k[:])
	}
	m := hmac.New(sha256.New, h.Sum(nil))
	m.Write([]byte(purpose))
	return [sha256.Size]byte(m.Sum(nil))
}

// allow says whether the request may go on to the route with this pattern.
func (g *gate) allow(r *http.Request, pattern string) bool {
	if g.open[pattern] {
		return true
	}
	if given := r.Header.Get("Authorization"); given != "" {
		scheme, key, ok := strings.Cut(given, " ")
		return ok && strings.EqualFold(scheme, "Bearer") && g.isKey(strings.TrimSpace(key))
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false // the cookie reads; only a key changes anything
	}
	return g.hasCookie(r)
}

// isKey compares with every key, in the same time whichever fits.
func (g *gate) isKey(key string) bool {
	given, found := HashKey(key), 0
	for i := range g.keys {
		found |= subtle.ConstantTimeCompare(given[:], g.keys[i][:])
	}
	return found == 1
}

// newToken makes a one-time token of the page.
func (g *gate) newToken() string {
	token := randomText()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.tokens) == maxPageTokens {
		g.tokens = g.tokens[1:]
	}
	g.tokens = append(g.tokens, HashKey(token))
	return token
}

// spend takes a one-time token: true once.
func (g *gate) spend(token string) bool {
	given := HashKey(token)
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.tokens {
		if subtle.ConstantTimeCompare(given[:], g.tokens[i][:]) == 1 {
			g.tokens = append(g.tokens[:i], g.tokens[i+1:]...)
			return true
		}
	}
	return false
}

// setCookie lets the browser in for twelve hours.
func (g *gate) setCookie(w http.ResponseWriter) {
	var body [16]byte
	binary.BigEndian.PutUint64(body[:8], uint64(g.clock().Add(cookieFor).Unix()))
	_, _ = rand.Read(body[8:])
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: base64.RawURLEncoding.EncodeToString(append(g.cookieMAC(body[:]), body[:]...)),
		Path: "/", MaxAge: int(cookieFor / time.Second), HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: g.secure,
	})
}

func (g *gate) hasCookie(r *http.Request) bool {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return false
	}
	raw, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil || len(raw) != sha256.Size+16 {
		return false
	}
	mac, body := raw[:sha256.Size], raw[sha256.Size:]
	return hmac.Equal(mac, g.cookieMAC(body)) && g.clock().Unix() < int64(binary.BigEndian.Uint64(body[:8]))
}

func (g *gate) cookieMAC(body []byte) []byte {
	m := hmac.New(sha256.New, g.cookieKey[:])
	m.Write(body)
	return m.Sum(nil)
}

// PageToken makes a token that lets one browser in, once: the page's address
// with ?token= of it, PagePath, is what dev.json holds under "page".
func (a *API) PageToken() string { return a.gate.newToken() }

// PagePath gives the path and query of the page's address with a new one-time
// token; put scheme and host before it.
func (a *API) PagePath() string { return "/enter?token=" + a.PageToken() }

// unauthorized is the one answer to a missing, malformed or wrong key.
func unauthorized() *Problem {
	return problem(http.StatusUnauthorized, "unauthorized", "this needs an API key", "header.Authorization",
		"send Authorization: Bearer <key>; daybook dev keeps its key in dev.json under admin_key").with("WWW-Authenticate", `Bearer realm="daybook"`)
}
