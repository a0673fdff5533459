package readapi

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Problem is an error answer (RFC 9457, application/problem+json). Code is
// stable; Detail says what is wrong, Field where, Remedy what to do instead.
// It never repeats the value that was sent: that may be a person's.
type Problem struct { //nolint:errname // the name of the thing in RFC 9457 and in the document
	Type   string  `json:"type" doc:"Always about:blank; the code tells problems apart."`
	Title  string  `json:"title" doc:"The status in words."`
	Status int     `json:"status" doc:"HTTP status."`
	Code   string  `json:"code" doc:"Stable name of the problem."`
	Detail string  `json:"detail" doc:"What is wrong, for a person."`
	Field  string  `json:"field,omitempty" doc:"Parameter or field at fault, such as query.from."`
	Remedy string  `json:"remedy,omitempty" doc:"What to send or do instead."`
	Errors []fault `json:"errors,omitempty" doc:"All faults, if there is more than one."`

	headers http.Header
}

// fault is one of several things wrong with a request.
type fault struct {
	Field  string `json:"field" doc:"Parameter or field at fault."`
	Detail string `json:"detail" doc:"What is wrong with it."`
}

// Error gives the sentence for a person.
func (p *Problem) Error() string { return p.Detail }

// GetStatus tells huma the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders tells huma what to send along.
func (p *Problem) GetHeaders() http.Header { return p.headers }

// ContentType tells huma the media type.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

func problem(status int, code, detail, field, remedy string) *Problem {
	return &Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status,
		Code: code, Detail: detail, Field: field, Remedy: remedy,
	}
}

func (p *Problem) with(name, value string) *Problem {
	if p.headers == nil {
		p.headers = http.Header{}
	}
	p.headers.Set(name, value)
	return p
}

func unknownNetwork() *Problem {
	return problem(http.StatusNotFound, "unknown_network", "there is no such network, or it is not yours", "path.network",
		"GET /v1/networks lists the networks that this key may read; PUT /v1/networks/{network} makes one")
}

func unknownUser() *Problem {
	return problem(http.StatusNotFound, "unknown_user", "the network has no record of this user", "path.user",
		"GET /v1/networks/{network}/users lists users; percent-encode the id (/ is %2F, % is %25)")
}

func badParameter(field, detail, remedy string) *Problem {
	return problem(http.StatusUnprocessableEntity, "invalid_parameter", detail, field, remedy)
}

func recordingDisabled() *Problem {
	return problem(http.StatusForbidden, "recording_disabled", "recording is disabled in this network, so individual records are not shown", "path.network",
		`PUT /v1/networks/{network} {"recording":true} records again`)
}

// fromHuma turns huma's own error into ours. It drops the values that huma
// echoes, and names the first field.
func fromHuma(e *huma.ErrorModel) *Problem {
	p := problem(e.Status, "invalid_request", e.Detail, "", "see /openapi.json for the parameters of this route")
	switch e.Status {
	case http.StatusUnprocessableEntity:
		p.Code = "invalid_parameter"
	case http.StatusBadRequest:
		p.Code = "invalid_body"
	case http.StatusRequestEntityTooLarge:
		p.Code = "body_too_large"
	case http.StatusUnsupportedMediaType:
		p.Code = "unsupported_media_type"
	case http.StatusInternalServerError:
		p.Code, p.Detail, p.Remedy = "internal", "the request could not be answered", "try again; the server's log says why"
		return p
	}
	for _, d := range e.Errors {
		if d == nil {
			continue
		}
		if d.Message == "unknown query parameter" {
			p.Code = "unknown_parameter"
		}
		p.Errors = append(p.Errors, fault{Field: d.Location, Detail: d.Message})
	}
	if len(p.Errors) > 0 {
		p.Field, p.Detail = p.Errors[0].Field, p.Errors[0].Detail
		if strings.HasPrefix(p.Field, "body") {
			p.Code = "invalid_body"
		}
	}
	if len(p.Errors) == 1 {
		p.Errors = nil
	}
	return p
}

// transformErrors gives every error that huma makes itself our shape.
func transformErrors(_ huma.Context, _ string, v any) (any, error) {
	if e, ok := v.(*huma.ErrorModel); ok {
		return fromHuma(e), nil
	}
	return v, nil
}

// fromStorage turns an error of a read into an answer: what the client can do
// something about keeps its kind, the rest is storage that could not answer.
func fromStorage(err error) *Problem {
	var p *Problem
	switch {
	case err == nil:
		return nil
	case errors.As(err, &p):
		return p
	case errors.Is(err, context.DeadlineExceeded):
		return problem(http.StatusServiceUnavailable, "query_timeout", "the query took longer than a request may", "",
			"ask for a shorter range, or for CSV, which has more time").with("Retry-After", "5")
	default:
		return problem(http.StatusServiceUnavailable, "storage_unavailable", "storage did not answer", "",
			"try again in a few seconds; /readyz says what is missing").with("Retry-After", "5")
	}
}

// writeProblem answers outside of huma.
func writeProblem(w http.ResponseWriter, p *Problem) {
	maps.Copy(w.Header(), p.headers)
	w.Header().Set("Content-Type", p.ContentType(""))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // a client that is gone needs no answer
}
