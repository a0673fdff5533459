package readapi

import (
	"fmt"
	"time"

	"daybook/clickhouse/query"
)

// defaultDays is the past two weeks: today and the 13 dates before (SPK-13,
// SEMANTICS.md section 6.8).
const defaultDays = 14

// RangeInput is a range of local dates, both inclusive.
type RangeInput struct {
	From string `query:"from" format:"date" doc:"First local date, inclusive; 13 days before to if left out." example:"2026-03-01"`
	To   string `query:"to" format:"date" doc:"Last local date, inclusive; today in the subject's zone if left out." example:"2026-03-14"`
}

// dates reads the range; today is that of zone.
func (a *API) dates(in RangeInput, zone *time.Location) (from, to query.Date, err error) {
	to = query.DateOf(a.cfg.Clock().In(zone))
	if in.To != "" {
		if to, err = dateParameter("query.to", in.To); err != nil {
			return 0, 0, err
		}
	}
	from = max(to-(defaultDays-1), query.FirstDate)
	if in.From != "" {
		if from, err = dateParameter("query.from", in.From); err != nil {
			return 0, 0, err
		}
		if in.To == "" {
			to = max(to, from)
		}
	}
	if from > to {
		return 0, 0, badParameter("query.from", "from is later than to", "from must not be after to; both are inclusive")
	}
	if days := int(to-from) + 1; days > a.cfg.MaxRangeDays {
		p := badParameter("query.from", "the range is too long", fmt.Sprintf("ask for at most %d days at once", a.cfg.MaxRangeDays))
		p.Code = "range_too_long"
		return 0, 0, p
	}
	return from, to, nil
}

func dateParameter(field, value string) (query.Date, error) {
	d, err := query.ParseDate(value)
	if err != nil {
		return 0, badParameter(field, "this is no date between 1970-01-01 and 2149-06-06", "a local date such as 2026-03-01")
	}
	return d, nil
}

// PageInput is the paging of every list.
type PageInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Rows a page."`
	Cursor string `query:"cursor" maxLength:"2000" doc:"next_cursor of the page before."`
}
