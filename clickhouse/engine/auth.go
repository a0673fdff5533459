package engine

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
)

// account is an authenticated user of the door.
type account struct {
	user string
	role role
}

// accounts holds the two users' passwords as digests, so that comparing takes
// the same time whatever their length.
type accounts map[string]struct {
	digest [sha256.Size]byte
	role   role
}

func newAccounts(c Config) accounts {
	a := accounts{UserApp: {sha256.Sum256([]byte(c.AppPassword)), roleApp}}
	if c.ReaderPassword != "" {
		a[UserReader] = struct {
			digest [sha256.Size]byte
			role   role
		}{sha256.Sum256([]byte(c.ReaderPassword)), roleReader}
	}
	return a
}

// authenticate takes the credentials as the server does: Basic, else the
// X-ClickHouse headers, else the URL.
func (a accounts) authenticate(r *http.Request, v *values) (account, error) {
	user, password, given := r.BasicAuth()
	if !given {
		user, password = r.Header.Get("X-ClickHouse-User"), r.Header.Get("X-ClickHouse-Key")
		given = user != "" || password != ""
	}
	if !given {
		user, password = v.control["user"], v.control["password"]
		given = user != "" || password != ""
	}
	if !given {
		return account{}, &Error{Code: 194, Text: "default: Authentication failed: password is required. (REQUIRED_PASSWORD)"}
	}
	digest := sha256.Sum256([]byte(password))
	known, ok := a[user]
	if subtle.ConstantTimeCompare(digest[:], known.digest[:]) != 1 || !ok {
		return account{}, &Error{Code: codeAuthFailed, Text: "Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)"}
	}
	return account{user, known.role}, nil
}

// checkLoopback refuses an address that others could reach: the door has no TLS.
func checkLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("engine address %q: %w", address, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("engine address %q: must be on loopback; use a ClickHouse server to serve other machines", address)
	}
	return nil
}
