package readapi

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of the read API. Label values are a closed set: the routes that are
// registered and "other", and the classes of HTTP status.
type Metrics struct {
	duration *prometheus.HistogramVec
	active   prometheus.Gauge
	exports  *prometheus.GaugeVec
}

// NewMetrics registers the metrics:
// daybook_api_request_duration_seconds{route,status}, daybook_api_requests_active,
// daybook_api_exports{bound}.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "daybook_api_request_duration_seconds",
			Help:    "Time from the request's headers to the last byte of the answer, by route and status class.",
			Buckets: []float64{.001, .0025, .005, .01, .02, .05, .1, .25, .5, 1, 2.5, 10, 60, 600},
		}, []string{"route", "status"}),
		active: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "daybook_api_requests_active", Help: "Requests being answered.",
		}),
		exports: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "daybook_api_exports", Help: "CSV answers being streamed (running) and how many may be (limit).",
		}, []string{"bound"}),
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.duration, m.active, m.exports} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

// routes creates the series of every route at zero.
func (m *Metrics) routes(patterns []string) {
	for _, route := range append(patterns, "other") {
		for class := 2; class <= 5; class++ {
			m.duration.WithLabelValues(route, strconv.Itoa(class)+"xx")
		}
	}
}

func (m *Metrics) observe(route string, status int, took time.Duration) {
	m.duration.WithLabelValues(route, strconv.Itoa(max(2, status/100))+"xx").Observe(took.Seconds())
}

// recorder remembers the status of an answer. Unwrap keeps deadlines and
// flushing of the writer below reachable.
type recorder struct {
	http.ResponseWriter

	status int
}

// WriteHeader notes the final status.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write notes the status that a first write implies.
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(p)
}

// Unwrap serves http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
