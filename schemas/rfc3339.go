package schemas

// minYearMs and maxYearMs bound the instants that RFC 3339 can write in UTC:
// the years 0000 to 9999. The upper bound is exclusive.
const (
	minYearMs = -62_167_219_200_000
	maxYearMs = 253_402_300_800_000
)

// parseTime reads an RFC 3339 instant: any offset, any fraction, truncated to
// the millisecond. T and Z may be in either case; a space for the T may not.
//
// A leap second (23:59:60 in UTC, whatever the offset it is written in) becomes
// the last millisecond before the next minute, so that it keeps its date and
// comes after every other instant of its minute. Any other :60 is refused.
func parseTime(s []byte) (ms int64, ok bool) {
	if len(s) < len("2006-01-02T15:04:05Z") || s[4] != '-' || s[7] != '-' || s[10]|0x20 != 't' || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	year := digits2(s[0:])*100 + digits2(s[2:])
	month, day := digits2(s[5:]), digits2(s[8:])
	hour, minute, second := digits2(s[11:]), digits2(s[14:]), digits2(s[17:])
	// A pair that is not of digits is at least 10,000 below zero, more than
	// the other pair of a year makes up for.
	if year < 0 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) ||
		hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60 {
		return 0, false
	}
	milli, rest, ok := parseFraction(s[19:])
	if !ok {
		return 0, false
	}
	offset, ok := parseOffset(rest)
	if !ok {
		return 0, false
	}
	leap := second == 60
	if leap {
		second, milli = 59, 999
	}
	local := int64(daysFromCivil(year, month, day))*86400 + int64(hour*3600+minute*60+second)
	utc := local - int64(offset)
	if leap && (utc%86400+86400)%86400 != 86399 {
		return 0, false
	}
	ms = utc*1000 + int64(milli)
	return ms, ms >= minYearMs && ms < maxYearMs
}

// parseFraction reads what follows the seconds, if it is a fraction: at least
// one digit. Digits after the third are checked and dropped.
func parseFraction(s []byte) (milli int, rest []byte, ok bool) {
	if len(s) == 0 || s[0] != '.' {
		return 0, s, true
	}
	i, unit := 1, 100
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		milli += int(s[i]-'0') * unit
		unit /= 10
	}
	return milli, s[i:], i > 1
}

// parseOffset reads Z or ±hh:mm to the end, in seconds east of UTC.
func parseOffset(s []byte) (seconds int, ok bool) {
	if len(s) == 1 {
		return 0, s[0]|0x20 == 'z'
	}
	if len(s) != len("+01:00") || s[3] != ':' || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	hour, minute := digits2(s[1:]), digits2(s[4:])
	if hour < 0 || hour > 23 || minute < 0 || minute > 59 {
		return 0, false
	}
	seconds = hour*3600 + minute*60
	if s[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

// digits2 reads two decimal digits; anything else gives a number far below zero.
func digits2(s []byte) int {
	a, b := s[0]-'0', s[1]-'0'
	if a > 9 || b > 9 {
		return -100_000
	}
	return int(a)*10 + int(b)
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysFromCivil gives the days since 1970-01-01 of a proleptic Gregorian date
// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
func daysFromCivil(year, month, day int) int {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	if year < 0 { // only January and February of the year 0000
		era = -1
	}
	yearOfEra := year - era*400
	dayOfYear := (153*(month-3)+2)/5 + day - 1
	dayOfEra := yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear
	return era*146097 + dayOfEra - 719468
}

// civilFromDays is the inverse of daysFromCivil.
func civilFromDays(days int) (year, month, day int) {
	days += 719468
	era := days / 146097
	if days < 0 {
		era = (days - 146096) / 146097
	}
	dayOfEra := days - era*146097
	yearOfEra := (dayOfEra - dayOfEra/1460 + dayOfEra/36524 - dayOfEra/146096) / 365
	dayOfYear := dayOfEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	shifted := (5*dayOfYear + 2) / 153
	day = dayOfYear - (153*shifted+2)/5 + 1
	year, month = yearOfEra+era*400, shifted+3
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, day
}

// AppendTime appends ms as RFC 3339 in UTC with three digits of fraction, the
// form that is written everywhere on the wire. ms must be within the years 0000
// to 9999, as every decoded time is.
func AppendTime(dst []byte, ms int64) []byte {
	days, rest := ms/86_400_000, ms%86_400_000
	if rest < 0 {
		days, rest = days-1, rest+86_400_000
	}
	year, month, day := civilFromDays(int(days))
	r := int(rest)
	dst = append2(append2(dst, year/100), year%100)
	dst = append2(append(dst, '-'), month)
	dst = append2(append(dst, '-'), day)
	dst = append2(append(dst, 'T'), r/3_600_000)
	dst = append2(append(dst, ':'), r/60_000%60)
	dst = append2(append(dst, ':'), r/1000%60)
	dst = append(dst, '.', byte('0'+r/100%10))
	return append(append2(dst, r%100), 'Z')
}

func append2(dst []byte, n int) []byte {
	return append(dst, byte('0'+n/10), byte('0'+n%10))
}
