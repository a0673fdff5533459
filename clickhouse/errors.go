package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	chgo "github.com/ClickHouse/clickhouse-go/v2"
)

// Kinds of error: every error of this package is one of them, or the cause of
// the caller's own context.
var (
	// ErrTransient: the outside may recover; the same call may succeed later.
	ErrTransient = errors.New("clickhouse unavailable")
	// ErrPermanent: ClickHouse refused; the same call will be refused again.
	ErrPermanent = errors.New("clickhouse refused")
	// ErrUnknownTopic: the tables have rows of another topic id. Rows of this
	// one would carry versions that say nothing about which is newer.
	ErrUnknownTopic = errors.New("unknown topic id")
	// ErrAddress: the address cannot be used; the text names the remedy.
	ErrAddress = errors.New("bad clickhouse address")
	// ErrMigration: the tables and the files of this version disagree.
	ErrMigration = errors.New("migrations differ")
)

// Codes of ClickHouse that say "not now" (its ErrorCodes.cpp). Every other code
// is a refusal.
const (
	codeTimeout            = 159
	codeTooManyQueries     = 202
	codeSocketTimeout      = 209
	codeNetwork            = 210
	codeAborted            = 236
	codeMemoryLimit        = 241
	codeTableReadOnly      = 242
	codeNotEnoughSpace     = 243
	codeTooManyParts       = 252
	codeAllReplicasLost    = 279
	codeTooFewReplicas     = 285
	codeUnknownInsertState = 319
	codeCancelled          = 394
	codeKeeper             = 999
)

func transientCode(code int32) bool {
	return slices.Contains([]int32{
		codeTimeout, codeTooManyQueries, codeSocketTimeout, codeNetwork, codeAborted, codeMemoryLimit, codeTableReadOnly,
		codeNotEnoughSpace, codeTooManyParts, codeAllReplicasLost, codeTooFewReplicas, codeUnknownInsertState, codeCancelled, codeKeeper,
	}, code)
}

// wrap says what was being done and of which kind the error is. The driver's
// own types do not leave this package except through errors.As.
func wrap(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", doing, errors.Join(context.Cause(ctx), ctx.Err()))
	}
	if errors.Is(err, ErrTransient) || errors.Is(err, ErrPermanent) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return fmt.Errorf("%s: %w: %w", doing, kindOf(err), err)
}

// kindOf tells transient from permanent. Without a code of ClickHouse the
// network or a proxy failed, unless HTTP says that the request itself is wrong.
func kindOf(err error) error {
	var exception *chgo.Exception
	if errors.As(err, &exception) && exception.Code != 0 {
		if transientCode(exception.Code) {
			return ErrTransient
		}
		return ErrPermanent
	}
	var status *chgo.HTTPError
	if errors.As(err, &status) && status.StatusCode >= 400 && status.StatusCode < 500 && status.StatusCode != http.StatusRequestTimeout && status.StatusCode != http.StatusTooManyRequests {
		return ErrPermanent
	}
	return ErrTransient
}
