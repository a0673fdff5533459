package engine

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Codes of ClickHouse that the door raises itself.
const (
	codeBadArguments     = 36
	codeLogicalError     = 49
	codeNotImplemented   = 48
	codeSyntaxError      = 62
	codeUnknownDatabase  = 81
	codeUnknownSetting   = 115
	codeReadonly         = 164
	codeUnknownUser      = 192
	codeTooManyQueries   = 202
	codeQueryIsTooLarge  = 307
	codeSessionNotFound  = 372
	codeSessionIsLocked  = 373
	codeQueryCancelled   = 394
	codeTooManyBytes     = 396
	codeAccessDenied     = 497
	codeSetNotGranted    = 512
	codeAuthFailed       = 516
	codeCannotDecompress = 271
	codeUnknownExternal  = 1002
)

// Error is an exception of the engine, or of the door in the engine's words.
type Error struct {
	Code int    // ClickHouse error code
	Text string // without the "Code: N. DB::Exception: " in front
}

// Error gives the text as a ClickHouse server prints it.
func (e *Error) Error() string { return fmt.Sprintf("Code: %d. DB::Exception: %s", e.Code, e.Text) }

// parseError reads libchdb's error text; nil for "". Some texts of whole
// results carry the prefix twice.
func parseError(text string) error {
	if text == "" {
		return nil
	}
	e := &Error{Code: codeUnknownExternal, Text: strings.TrimSpace(text)}
	for {
		rest, ok := strings.CutPrefix(e.Text, "Code: ")
		if !ok {
			return e
		}
		number, rest, ok := strings.Cut(rest, ". ")
		code, err := strconv.Atoi(number)
		if !ok || err != nil {
			return e
		}
		e.Code = code
		e.Text = strings.TrimPrefix(rest, "DB::Exception: ")
	}
}

// status is the server's table from exception codes to HTTP (DOOR.md section 3;
// 202 is the door's own: a full queue is a reason to come back, not a fault).
func (e *Error) status() int {
	switch e.Code {
	case 194:
		return http.StatusUnauthorized
	case codeUnknownUser, 193, codeAccessDenied, codeSetNotGranted, codeAuthFailed:
		return http.StatusForbidden
	case 6, 25, 26, 27, codeBadArguments, 38, 41, 43, 44, 53, codeSyntaxError, 72, 117, 167, 168, 223, 321, 376, 427, 441, 442, 457, 636:
		return http.StatusBadRequest
	case 46, 47, 50, 56, 60, 63, 66, 73, 78, codeUnknownDatabase, codeUnknownSetting, 336:
		return http.StatusNotFound
	case 159:
		return http.StatusRequestTimeout
	case codeQueryIsTooLarge:
		return http.StatusRequestEntityTooLarge
	case codeNotImplemented:
		return http.StatusNotImplemented
	case 76, codeTooManyQueries, 209, 439:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}
