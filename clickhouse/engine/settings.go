package engine

import (
	"slices"
	"strings"
)

// A request's settings hold for that request. Setting them and taking them back
// are two statements more, which cost the engine as much CPU as a small SELECT
// each, so a pooled connection keeps those of a plain statement of the product
// (mayKeepSettings): the next request with the same ones gets that connection
// and needs neither. Every other request has them taken back first.

// mayKeepSettings tells whether what a request set may stay for the next one
// that asks for the same. A session's own SET, a reader's gate and whatever else
// a statement may change shall not meet the settings of another request.
func mayKeepSettings(req *request, st *statement, class int) bool {
	return req.account.role == roleApp && req.sessionID == "" && len(req.external) == 0 && (st.isInsert() || class == classRead)
}

// has tells whether exactly these settings are set on the connection.
func (c *conn) has(want []setting) bool {
	if len(c.settings) != len(want) {
		return false
	}
	for _, s := range want {
		if !slices.Contains(c.settings, s) {
			return false
		}
	}
	return true
}

// useSettings sets what a request asks for beside what is set already.
func (c *conn) useSettings(settings []setting) error {
	var parts []string
	for _, s := range settings {
		if slices.Contains(c.settings, s) {
			continue
		}
		parts = append(parts, s.name+" = "+quote(s.value))
		c.settings = append(c.settings, s)
	}
	if len(parts) == 0 {
		return nil
	}
	err := c.exec("SET " + strings.Join(parts, ", "))
	if err != nil {
		c.spoiled = true // an unknown part of them may be set
	}
	return err
}

// resetSettings takes back what useSettings set.
func (c *conn) resetSettings() {
	if len(c.settings) == 0 {
		return
	}
	parts := make([]string, len(c.settings))
	for i, s := range c.settings {
		parts[i] = s.name + " = DEFAULT"
	}
	c.settings = nil
	if c.exec("SET "+strings.Join(parts, ", ")) != nil {
		c.spoiled = true
	}
}
