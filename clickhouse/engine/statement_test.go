package engine

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadStatement_CutsInsertsBeforeTheirRows(t *testing.T) {
	for _, test := range []struct{ in, text, format, rows string }{
		{"INSERT INTO t VALUES (1)", "INSERT INTO t ", "Values", " (1)"},
		{"insert into t (a, b) values(1)", "insert into t (a, b) ", "Values", "(1)"},
		{"INSERT INTO t FORMAT CSV\n1,2\n", "INSERT INTO t ", "CSV", "1,2\n"},
		{"INSERT INTO t FORMAT CSV \t\r\n\n1", "INSERT INTO t ", "CSV", "\n1"},
		{"INSERT INTO t FORMAT CSV 1", "INSERT INTO t ", "CSV", "1"},
		{"INSERT INTO t FORMAT Native", "INSERT INTO t ", "Native", ""},
		{"INSERT INTO t FORMAT Native\n\x00\x01'\"", "INSERT INTO t ", "Native", "\x00\x01'\""},
		{"INSERT INTO TABLE db.values FORMAT TSV\nx", "INSERT INTO TABLE db.values ", "TSV", "x"},
		{"INSERT INTO values VALUES (1)", "INSERT INTO values ", "Values", " (1)"},
		{"INSERT INTO FORMAT FORMAT CSV\n1", "INSERT INTO FORMAT ", "CSV", "1"},
		{"INSERT INTO `FORMAT x` /* VALUES */ -- FORMAT y\n FORMAT CSV\n1", "INSERT INTO `FORMAT x` /* VALUES */ -- FORMAT y\n ", "CSV", "1"},
		{"INSERT INTO FUNCTION f('VALUES', (1)) VALUES (1)", "INSERT INTO FUNCTION f('VALUES', (1)) ", "Values", " (1)"},
		{"INSERT INTO t (* EXCEPT(values)) VALUES (1)", "INSERT INTO t (* EXCEPT(values)) ", "Values", " (1)"},
		{"INSERT INTO t SETTINGS a = 1 FORMAT CSV\n1", "INSERT INTO t SETTINGS a = 1 ", "CSV", "1"},
		{"INSERT INTO t FORMAT CSV SETTINGS a = 1, b = 'x', c = -0.5\n1", "INSERT INTO t  SETTINGS a = 1, b = 'x', c = -0.5", "CSV", "1"},
		{"INSERT INTO t FORMAT CSV SETTINGS,1\n", "INSERT INTO t ", "CSV", "SETTINGS,1\n"},
		{"INSERT INTO t FORMAT CSV\nSETTINGS a = 1\n", "INSERT INTO t ", "CSV", "SETTINGS a = 1\n"},
		{"INSERT INTO t SELECT 1 FORMAT CSV", "INSERT INTO t SELECT 1 FORMAT CSV", "", ""},
		{"INSERT INTO t (SELECT 1)", "INSERT INTO t (SELECT 1)", "", ""},
		{"INSERT INTO t (a) WITH x AS (SELECT 1) SELECT * FROM x", "INSERT INTO t (a) WITH x AS (SELECT 1) SELECT * FROM x", "", ""},
		{"INSERT INTO t", "INSERT INTO t", "", ""},
		{"SELECT 'INSERT INTO t VALUES' ; ", "SELECT 'INSERT INTO t VALUES'", "", ""},
		{"  ;;\n", "", "", ""},
		{"", "", "", ""},
	} {
		for name, in := range map[string]io.Reader{"whole": strings.NewReader(test.in), "bytewise": iotest.OneByteReader(strings.NewReader(test.in))} {
			st, err := readStatement(in, 1000)
			if err != nil {
				t.Errorf("%s %q: %v", name, test.in, err)
				continue
			}
			rows := ""
			if st.isInsert() {
				b, err := io.ReadAll(st.rows)
				if err != nil {
					t.Fatal(err)
				}
				rows = string(b)
			}
			if string(st.text) != test.text || st.format != test.format || rows != test.rows {
				t.Errorf("%s %q: text %q, format %q, rows %q", name, test.in, st.text, st.format, rows)
			}
		}
	}
}

func TestReadStatement_RefusesWhatIsTooLong(t *testing.T) {
	for _, text := range []string{"SELECT '" + strings.Repeat("x", 2000) + "'", "INSERT INTO t (" + strings.Repeat("a, ", 700)} {
		var e *Error
		if _, err := readStatement(strings.NewReader(text), 1000); !errors.As(err, &e) || e.Code != codeSyntaxError {
			t.Errorf("%.20s: %v", text, err)
		}
	}
	if st, err := readStatement(strings.NewReader("INSERT INTO t VALUES "+strings.Repeat("(1),", 10_000)), 1000); err != nil || !st.isInsert() {
		t.Errorf("many rows: %v", err)
	}
}

func TestShapeOf_StreamsOnlyWhatIsSure(t *testing.T) {
	for text, want := range map[string]readShape{
		"SELECT 1":                  {"", true},
		"-- x\nSELECT 1 FORMAT CSV": {"CSV", true},
		"SELECT 1 FORMAT CSV SETTINGS max_threads = 1":               {"CSV", true},
		"SELECT format FROM t":                                       {"", true},
		"SELECT format(CSV, 'x')":                                    {"", true},
		"SELECT 'FORMAT CSV'":                                        {"", true},
		"(SELECT 1) UNION ALL (SELECT 2) FORMAT TSV;":                {"TSV", true},
		"SELECT a, count() FROM t GROUP BY a WITH TOTALS FORMAT CSV": {"CSV", false},
		"SELECT 1 SETTINGS extremes = 1":                             {"", false},
		"SHOW TABLES FORMAT JSON":                                    {"JSON", false},
		"SELECT 1 INTO OUTFILE 'x' FORMAT CSV":                       {"CSV", false},
	} {
		if got := shapeOf([]byte(text)); got != want {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

func TestParseValues_SortsNamesByMeaning(t *testing.T) {
	v, err := parseValues("query=SELECT+1;&param_a=%27&max_threads=4&log_comment=x&&database=d;e&user=u")
	if err != nil {
		t.Fatal(err)
	}
	if v.control["query"] != "SELECT 1;" || v.control["database"] != "d;e" || len(v.params) != 1 || v.params[0] != (param{"a", "'"}) ||
		len(v.settings) != 1 || v.settings[0] != (setting{"max_threads", "4"}) {
		t.Errorf("%+v", v)
	}
	for _, raw := range []string{"a'b=1", "role%20=1", "ROLE=app", "default=1", "1a=1", "%zz=1", "a=%z", "param_=1%"} {
		if _, err := parseValues(raw); err == nil {
			t.Errorf("%s was taken", raw)
		}
	}
}

func TestParseError_ReadsEveryShapeOfTheEnginesTexts(t *testing.T) {
	for text, want := range map[string]Error{
		"Code: 60. DB::Exception: no table":                         {60, "no table"},
		"Code: 399. DB::Exception: Code: 399. DB::Exception: twice": {399, "twice"},
		"something else": {codeUnknownExternal, "something else"},
		"Code: x. y":     {codeUnknownExternal, "Code: x. y"},
		"Code: 1":        {codeUnknownExternal, "Code: 1"},
	} {
		var e *Error
		if err := parseError(text); !errors.As(err, &e) || *e != want {
			t.Errorf("%q: %+v", text, e)
		}
	}
	if err := parseError(""); err != nil {
		t.Error(err)
	}
}
