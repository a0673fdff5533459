package engine

import (
	"context"
	"sync"
	"time"
)

// sessionKey names a session: two accounts never share one.
type sessionKey struct{ user, id string }

// session pins one connection across requests, so that SET and temporary
// tables last.
type session struct {
	c    *conn // nil until the first request got one
	busy bool
	// expiry closes the session when no request used it for its timeout.
	expiry *time.Timer
}

// sessions owns every pinned connection.
type sessions struct {
	pool *pool
	max  int

	mu     sync.Mutex
	byKey  map[sessionKey]*session
	closed bool
}

func newSessions(c Config, p *pool) *sessions {
	return &sessions{pool: p, max: c.MaxSessions, byKey: map[sessionKey]*session{}}
}

// take gives the session's connection to one request.
func (s *sessions) take(req *request) (*conn, error) {
	key := sessionKey{req.account.user, req.sessionID}
	s.mu.Lock()
	defer s.mu.Unlock()
	se := s.byKey[key]
	switch {
	case s.closed:
		return nil, tooMany("the engine is stopping")
	case se == nil && req.sessionCheck:
		return nil, &Error{Code: codeSessionNotFound, Text: "Session not found. (SESSION_NOT_FOUND)"}
	case se != nil && se.busy:
		return nil, &Error{Code: codeSessionIsLocked, Text: "Session is locked by a concurrent client. (SESSION_IS_LOCKED)"}
	case se == nil && len(s.byKey) >= s.max:
		return nil, tooMany("too many sessions")
	case se == nil:
		c, err := s.pool.get(req.account.role, nil)
		if err != nil {
			return nil, err
		}
		// Whatever the session does, this connection never returns to the
		// pool; whatever was current before, the session starts afresh.
		c.spoiled, c.database = true, ""
		se = &session{c: c}
		s.byKey[key] = se
	default:
		se.expiry.Stop()
	}
	se.busy = true
	return se.c, nil
}

// give puts the session to rest until the next request or its timeout.
func (s *sessions) give(req *request) {
	key := sessionKey{req.account.user, req.sessionID}
	s.mu.Lock()
	defer s.mu.Unlock()
	se := s.byKey[key]
	se.busy = false
	if req.closeSession || se.c.broken || s.closed {
		delete(s.byKey, key)
		se.c.close()
		return
	}
	se.expiry = time.AfterFunc(req.sessionTimeout, func() { s.expire(key, se) })
}

func (s *sessions) expire(key sessionKey, se *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey[key] == se && !se.busy {
		delete(s.byKey, key)
		se.c.close()
	}
}

// close ends every resting session; a busy one ends when its request does.
func (s *sessions) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for key, se := range s.byKey {
		if !se.busy {
			se.expiry.Stop()
			delete(s.byKey, key)
			se.c.close()
		}
	}
}

// lease is a connection for the length of one request.
type lease struct {
	c       *conn
	release func()
}

// lease waits for a turn, then takes a connection of the session or the pool.
func (d *door) lease(ctx context.Context, req *request) (*lease, error) {
	free, err := d.pool.turn(ctx, req.account.role)
	if err != nil {
		return nil, err
	}
	if req.sessionID != "" {
		c, err := d.sessions.take(req)
		if err != nil {
			free()
			return nil, err
		}
		return &lease{c, func() { d.sessions.give(req); free() }}, nil
	}
	c, err := d.pool.get(req.account.role, req.settings)
	if err != nil {
		free()
		return nil, err
	}
	return &lease{c, func() { d.pool.put(req.account.role, c); free() }}, nil
}
