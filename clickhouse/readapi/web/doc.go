// Package web is the page: plain HTML that works without scripts, on the same
// questions as the API. It holds the templates, the style sheet and the views
// that they show; it asks nothing and decides nothing about access. Package
// readapi fills in the views and serves them.
//
// Rules (HOUSE.md section 11): strict Content-Security-Policy, so no inline
// style or script; no outside address; everything works with the keyboard and
// is readable without colour; every figure that can be added up carries its
// seconds in a <data> element.
package web
