package readapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
)

// cursors makes and reads paging cursors. A cursor is the key of the last row
// of a page, bound by a MAC to the question that it came from: it cannot be
// made up, changed, or used with another network, user or range.
type cursors struct{ key [32]byte }

const cursorMAC = 16 // bytes; forging one only turns to another page of the same answer

func (c cursors) mac(scope string, position []byte) []byte {
	h := hmac.New(sha256.New, c.key[:])
	h.Write([]byte(scope))
	h.Write([]byte{0})
	h.Write(position)
	return h.Sum(nil)[:cursorMAC]
}

// seal gives the cursor after a row; scope names the question, every filter
// included.
func (c cursors) seal(scope string, position any) string {
	raw, err := json.Marshal(position)
	if err != nil {
		panic("cursor position cannot be encoded: " + err.Error()) // our own plain structs
	}
	return base64.RawURLEncoding.EncodeToString(append(c.mac(scope, raw), raw...))
}

// open reads a cursor into position. An empty cursor leaves it as it is.
func (c cursors) open(scope, cursor string, position any) error {
	if cursor == "" {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(raw) <= cursorMAC || !hmac.Equal(raw[:cursorMAC], c.mac(scope, raw[cursorMAC:])) ||
		json.Unmarshal(raw[cursorMAC:], position) != nil {
		return problem(http.StatusUnprocessableEntity, "invalid_cursor", "the cursor does not belong to this question", "query.cursor",
			"pass next_cursor unchanged, with the same network, user, range and filters; without cursor the list begins anew")
	}
	return nil
}

// scope names a question with its filters; NUL separates, for no filter holds
// one.
func scope(parts ...string) string { return strings.Join(parts, "\x00") }
