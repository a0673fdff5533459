package readapi

import (
	"context"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"daybook/clickhouse/export"
	"daybook/clickhouse/query"
	"daybook/schemas"
)

// Network is one tenant with what is in force in it.
type Network struct {
	NetworkID string `json:"network_id" doc:"Id of the network."`
	Title     string `json:"title" doc:"Name for people; the id if none was given."`
	Zone      string `json:"zone" doc:"IANA name; the zone of users without one on record."`
	Gap       string `json:"gap" doc:"Longest silence within a session, such as 30m."`
	GapS      int64  `json:"gap_s" doc:"The same in seconds."`
	Recording bool   `json:"recording" doc:"Whether activity is recorded."`
}

// networkAnswer is one network by itself.
type networkAnswer struct {
	Network
	Stamp

	History *History `json:"history,omitempty" doc:"How its late events are worked off; absent if none came since the workers took the partitions over."`
}

// History tells how the late events of a network are worked off. It is about the
// present, and counts since the workers took the partitions over.
type History struct {
	LateEvents     int64      `json:"late_events" doc:"Late events accepted: they lay before the horizon, so stored events had to be read back."`
	LatePerSecond  float64    `json:"late_per_second" doc:"Of them a second, over about the last ten seconds."`
	Reentries      int64      `json:"reentries" doc:"How often the stored events of a user were read back."`
	EventsReadBack int64      `json:"events_read_back" doc:"Stored events read back."`
	WorkingOn      *time.Time `json:"working_on" doc:"Oldest event time that is being worked on; null if no late event came for ten seconds."`
	RecordsWaiting int64      `json:"records_waiting" doc:"Records of any network that wait in the partitions that work on this one's late events."`
	ThroughInS     *int64     `json:"through_in_s" doc:"Seconds until these are worked off at the present rate; null if it cannot be told."`
}

func historyOf(h *query.HistoryRow) *History {
	if h.Late == 0 {
		return nil
	}
	return &History{h.Late, h.LateRate, h.Reentries, h.ReadBack, h.WorkingOn, h.Waiting, h.ThroughInS}
}

func networkOf(n *query.Network) Network {
	out := Network{NetworkID: n.NetworkID, Title: n.Title, Zone: n.Zone, Recording: n.Recording}
	if out.Title == "" {
		out.Title = n.NetworkID
	}
	out.setGap(time.Duration(n.GapMs) * time.Millisecond)
	return out
}

func (n *Network) setGap(gap time.Duration) {
	n.Gap, n.GapS = gapText(gap), int64(gap/time.Second)
}

// gapText gives 30m, 1h, 1h30m, 90s: Go's spelling without zero units.
func gapText(gap time.Duration) string {
	s := gap.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

type networksInput struct {
	PageInput
	FormatInput
}

// NetworkInput names one network.
type NetworkInput struct {
	Network string `path:"network" doc:"Id of the network." maxLength:"256"`
}

type putNetworkInput struct {
	NetworkInput

	Body struct {
		Title     *string `json:"title,omitempty" maxLength:"200" doc:"Name for people."`
		Zone      *string `json:"zone,omitempty" maxLength:"64" doc:"IANA name, such as Europe/Amsterdam."`
		Gap       *string `json:"gap,omitempty" maxLength:"20" doc:"Longest silence within a session, 1m to 240m." example:"30m"`
		Recording *bool   `json:"recording,omitempty" doc:"Whether activity is recorded."`
	}
}

func (a *API) registerNetworks() {
	register[networksInput, List[Network]](a, huma.Operation{
		OperationID: "list-networks", Method: http.MethodGet, Path: "/v1/networks", Tags: []string{"Networks"},
		Summary: "Networks, ascending by id",
	}, true, a.listNetworks)
	register[NetworkInput, networkAnswer](a, huma.Operation{
		OperationID: "get-network", Method: http.MethodGet, Path: "/v1/networks/{network}", Tags: []string{"Networks"},
		Summary: "One network",
	}, false, a.getNetwork)
	register[putNetworkInput, networkAnswer](a, huma.Operation{
		OperationID: "put-network", Method: http.MethodPut, Path: "/v1/networks/{network}", Tags: []string{"Networks"},
		Summary:      "Make or change a network",
		Description:  "Fields left out keep what is in force. The answer comes when every partition of the log holds the change; it applies to what is recorded after that.",
		MaxBodyBytes: maxBodyBytes,
	}, false, a.putNetwork)
}

func (a *API) listNetworks(ctx context.Context, in *networksInput) (*huma.StreamResponse, error) {
	if in.csv() {
		s := a.newStamp()
		if err := a.freshen(ctx, &s, query.Watermarks{Every: true}); err != nil {
			return nil, err
		}
		f := in.csvFile("networks", s, "network_id", "title", "zone", "gap", "gap_s", "recording")
		f.rows = func(ctx context.Context, out *export.CSV) error {
			for row, err := range (query.Networks{Limit: query.All}).Run(ctx, a.db) {
				if err != nil {
					return err
				}
				n := networkOf(&row)
				if err := out.Plain(n.NetworkID).Text(n.Title).Text(n.Zone).Plain(n.Gap).Int(n.GapS).Bool(n.Recording).End(); err != nil {
					return err
				}
			}
			return nil
		}
		return a.stream(ctx, f), nil
	}
	ctx, cancel := a.queryContext(ctx)
	defer cancel()
	body, err := a.networks(ctx, in.PageInput)
	if err != nil {
		return nil, err
	}
	return answer(http.StatusOK, body), nil
}

// networks gives one page of networks.
func (a *API) networks(ctx context.Context, in PageInput) (*List[Network], error) {
	const scope = "networks"
	body := &List[Network]{Items: []Network{}, Stamp: a.newStamp()}
	var after string
	if err := a.cursors.open(scope, in.Cursor, &after); err != nil {
		return nil, err
	}
	if err := a.freshen(ctx, &body.Stamp, query.Watermarks{Every: true}); err != nil {
		return nil, err
	}
	for row, err := range (query.Networks{After: after, Limit: in.Limit + 1}).Run(ctx, a.db) {
		if err != nil {
			return nil, a.storage(ctx, scope, err)
		}
		if body.full(in.Limit, a.cursors, scope, func() any { return body.Items[len(body.Items)-1].NetworkID }) {
			break
		}
		body.Items = append(body.Items, networkOf(&row))
	}
	return body, nil
}

// full says that the page holds its limit while there is one more row, and
// then sets the cursor to the last row that it holds.
func (l *List[T]) full(limit int, c cursors, scope string, position func() any) bool {
	if len(l.Items) < limit {
		return false
	}
	next := c.seal(scope, position())
	l.NextCursor = &next
	return true
}

func (a *API) getNetwork(ctx context.Context, in *NetworkInput) (*huma.StreamResponse, error) {
	ctx, cancel := a.queryContext(ctx)
	defer cancel()
	s := a.newStamp()
	n, err := a.freshNetwork(ctx, &s, in.Network)
	if err != nil {
		return nil, err
	}
	history, err := query.History{Network: in.Network}.Ask(ctx, a.db)
	if err != nil {
		return nil, a.storage(ctx, "get network", err)
	}
	return answer(http.StatusOK, &networkAnswer{Network: networkOf(n), History: historyOf(&history), Stamp: s}), nil
}

func (a *API) putNetwork(ctx context.Context, in *putNetworkInput) (*huma.StreamResponse, error) {
	change, err := in.change()
	if err != nil {
		return nil, err
	}
	if a.cfg.Settings == nil {
		return nil, problem(http.StatusServiceUnavailable, "settings_unavailable", "this server cannot change networks", "",
			"start it with a connection to Kafka, or use daybook network set")
	}
	s := a.newStamp()
	ctx, cancel := a.queryContext(ctx)
	defer cancel()
	set, err := a.cfg.Settings.PutNetwork(ctx, in.Network, change)
	if err != nil {
		return nil, a.settingsFailed(ctx, err)
	}
	// The change is in the log already: an answer that cannot tell how complete
	// the network is must not look as if nothing had happened.
	_ = a.freshen(ctx, &s, query.Watermarks{Network: in.Network})
	status := http.StatusOK
	if set.Created {
		status = http.StatusCreated
	}
	out := networkOf(&query.Network{NetworkID: in.Network, Title: set.Title, Zone: set.Zone, Recording: set.Recording, GapMs: set.Gap.Milliseconds()})
	if out.Zone == "" {
		out.Zone = "UTC"
	}
	return answer(status, &networkAnswer{Network: out, Stamp: s}), nil
}

func (a *API) settingsFailed(ctx context.Context, err error) error {
	_ = a.storage(ctx, "put network", err)
	return problem(http.StatusServiceUnavailable, "settings_unavailable", "not every partition holds the change yet", "",
		"send it again: it is harmless, and the newest one counts").with("Retry-After", "5")
}

// change checks the request, every field by its rule.
func (in *putNetworkInput) change() (NetworkChange, error) {
	var c NetworkChange
	if !networkID.MatchString(in.Network) {
		return c, badParameter("path.network", "this is no id of a network", "1 to 64 of a-z 0-9 . _ -, the first a letter or digit")
	}
	if t := in.Body.Title; t != nil && (!utf8.ValidString(*t) || strings.ContainsFunc(*t, func(r rune) bool { return r < ' ' })) {
		return c, badParameter("body.title", "the title has control characters", "one line of text")
	}
	if z := in.Body.Zone; z != nil {
		if _, err := zoneNamed(*z); err != nil {
			return c, badParameter("body.zone", "this is no time zone", "an IANA name such as Europe/Amsterdam")
		}
	}
	c = NetworkChange{Title: in.Body.Title, Zone: in.Body.Zone, Recording: in.Body.Recording}
	if in.Body.Gap != nil {
		gap, err := time.ParseDuration(*in.Body.Gap)
		if err != nil || gap < schemas.MinGapMs*time.Millisecond || gap > schemas.MaxGapMs*time.Millisecond || gap%time.Millisecond != 0 {
			return c, badParameter("body.gap", "this is no gap between 1m and 240m", "a duration such as 30m or 1h30m")
		}
		c.Gap = &gap
	}
	return c, nil
}
