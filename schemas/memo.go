package schemas

// What the decoder remembers of earlier records, so that it need not work it out
// again: none of it changes an answer, all of it is bounded.

// memo is what one decoder remembers.
type memo struct {
	network []byte // the last valid one
	date    dateMemo
	types   [64]typeMemo
}

// validNetwork is ValidNetwork.
func (m *memo) validNetwork(network []byte) bool {
	if len(network) > 0 && string(network) == string(m.network) {
		return true
	}
	if !ValidNetwork(network) {
		return false
	}
	m.network = append(m.network[:0], network...)
	return true
}

// typeMemo is what is known of a type.
type typeMemo struct {
	text       []byte // its own copy
	kind       Kind
	activities []activity
}

// typeOf gives what is known of a type, which is not empty.
func (m *memo) typeOf(text []byte) *typeMemo {
	sum := (signature(text) * 0x9e3779b97f4a7c15) >> 58
	t := &m.types[sum]
	if string(t.text) != string(text) {
		t.text = append(t.text[:0], text...)
		t.kind, t.activities = KindOf(text), activities()[string(text)]
	}
	return t
}

// dateMemo reads times, and remembers the last date in UTC.
type dateMemo struct {
	month uint64 // 2026-05-
	day   uint64 // 12T
	ms    int64  // where the date begins
}

// parse is parseTime. The forms 2026-05-12T14:20:00Z and 2026-05-12T14:20:00.123Z
// of the date of the record before are read eight bytes at a time.
func (m *dateMemo) parse(s []byte) (ms int64, ok bool) {
	if (len(s) == len("2026-05-12T14:20:00.123Z") || len(s) == len("2026-05-12T14:20:00Z")) && load(s, 0) == m.month && load(s, 8)&0xffffff == m.day {
		if ms, ok = clock(s); ok {
			return m.ms + ms, true
		}
	}
	ms, ok = parseTime(s)
	if ok && s[10] == 'T' && s[len(s)-1] == 'Z' {
		m.month, m.day = load(s, 0), load(s, 8)&0xffffff
		m.ms = ms - (ms%86_400_000+86_400_000)%86_400_000
	}
	return ms, ok
}

// clock reads the time of a day behind the date, in milliseconds. It is false if
// it is another form, or a second 60.
func clock(s []byte) (ms int64, ok bool) {
	const (
		colons = 0x00_00_ff_00_00_ff_00_00
		dotZ   = 0xff_00_00_00_ff
		above9 = 0x76_76_76_76_76_76_76_76 // added to a byte, sets its top bit if it is above 9
		tops   = 0x80_80_80_80_80_80_80_80
	)
	hms := load(s, 11) ^ 0x30_30_3a_30_30_3a_30_30 // 14:20:00 as digits and zeros
	var frac uint64                                // .123Z likewise
	if len(s) == len("2026-05-12T14:20:00.123Z") {
		frac = load(s, 16)>>24 ^ 0x5a_30_30_30_2e
	} else if s[19] != 'Z' {
		return 0, false
	}
	if hms&colons|frac&dotZ|(hms|(hms+above9)|frac|(frac+above9))&tops != 0 {
		return 0, false
	}
	hms = hms*10 + hms>>8 // each pair is in its first byte
	hour, minute, second := hms&0xff, hms>>24&0xff, hms>>48&0xff
	if hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	milli := frac>>8&0xff*100 + frac>>16&0xff*10 + frac>>24&0xff
	return int64((hour*60+minute)*60_000 + second*1000 + milli), true
}
