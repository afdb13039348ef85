// Stand-in, the mesh file: a reader for the part of YAML that istioctl and meshvm write. Block maps and lists,
// plain, quoted, folded and literal scalars, comments, and JSON wherever a value begins with { or [. No anchors, tags
// or several documents. Each scalar is a string: whoever reads it knows its type.
package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

type yamlLine struct {
	number, indent int
	text           string
}

type yamlReader struct {
	lines []yamlLine
	raw   []string
	at    int
}

// parseYAML gives a map[string]any, a []any or a string.
func parseYAML(text string) (any, error) {
	r := &yamlReader{raw: strings.Split(text, "\n")}
	for i, line := range r.raw {
		trimmed := strings.TrimLeft(line, " ")
		if trimmed == "" || strings.HasPrefix(trimmed, "#") || trimmed == "---" {
			continue
		}
		r.lines = append(r.lines, yamlLine{i, len(line) - len(trimmed), strings.TrimRight(trimmed, " \r")})
	}
	if len(r.lines) == 0 {
		return map[string]any{}, nil
	}
	if strings.HasPrefix(r.lines[0].text, "{") {
		return parseFlow(text)
	}
	value, err := r.block(r.lines[0].indent)
	if err == nil && r.at < len(r.lines) {
		err = r.wrong("is not indented like what is above it")
	}
	return value, err
}

func (r *yamlReader) wrong(what string) error {
	line := r.lines[min(r.at, len(r.lines)-1)]
	return fmt.Errorf("line %d (%q) %s", line.number+1, line.text, what)
}

func (r *yamlReader) block(indent int) (any, error) {
	if isItem(r.lines[r.at].text) {
		return r.list(indent)
	}
	return r.mapping(indent)
}

func isItem(text string) bool { return text == "-" || strings.HasPrefix(text, "- ") }

func (r *yamlReader) list(indent int) (any, error) {
	items := []any{}
	for r.at < len(r.lines) && r.lines[r.at].indent == indent && isItem(r.lines[r.at].text) {
		line := &r.lines[r.at]
		rest := strings.TrimLeft(strings.TrimPrefix(line.text, "-"), " ")
		inner := indent + len(line.text) - len(rest)
		key, _ := splitKey(rest)
		var item any
		var err error
		switch {
		case rest == "":
			r.at++
			item, err = r.below(indent)
		case key != "" || isItem(rest):
			line.indent, line.text = inner, rest
			item, err = r.block(inner)
		default:
			r.at++
			item, err = r.scalar(rest, indent)
		}
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

func (r *yamlReader) mapping(indent int) (any, error) {
	found := map[string]any{}
	for r.at < len(r.lines) && r.lines[r.at].indent == indent && !isItem(r.lines[r.at].text) {
		key, rest := splitKey(r.lines[r.at].text)
		if key == "" {
			return nil, r.wrong("is neither a key nor a list item")
		}
		name, err := unquote(key)
		if err != nil {
			return nil, err
		}
		r.at++
		var value any
		if rest == "" {
			value, err = r.below(indent)
		} else {
			value, err = r.scalar(rest, indent)
		}
		if err != nil {
			return nil, err
		}
		found[name] = value
	}
	return found, nil
}

// below is the block under a key without a value; a list may stand as deep as its key.
func (r *yamlReader) below(indent int) (any, error) {
	if r.at < len(r.lines) {
		next := r.lines[r.at]
		if next.indent > indent || (next.indent == indent && isItem(next.text)) {
			return r.block(next.indent)
		}
	}
	return "", nil
}

func (r *yamlReader) scalar(text string, indent int) (any, error) {
	if text[0] == '|' || text[0] == '>' {
		return r.literal(text, indent), nil
	}
	for r.at < len(r.lines) && r.lines[r.at].indent > indent {
		text += " " + r.lines[r.at].text
		r.at++
	}
	if text[0] == '{' || text[0] == '[' {
		return parseFlow(text)
	}
	return unquote(text)
}

func (r *yamlReader) literal(mark string, indent int) string {
	first, kept := r.lines[r.at-1].number+1, []string{}
	depth := -1
	for _, raw := range r.raw[first:] {
		trimmed := strings.TrimLeft(raw, " ")
		if trimmed != "" && len(raw)-len(trimmed) <= indent {
			break
		}
		if depth < 0 && trimmed != "" {
			depth = len(raw) - len(trimmed)
		}
		kept = append(kept, raw[min(max(depth, 0), len(raw)):])
	}
	for r.at < len(r.lines) && r.lines[r.at].number < first+len(kept) {
		r.at++
	}
	joint := "\n"
	if mark[0] == '>' {
		joint = " "
	}
	text := strings.TrimRight(strings.Join(kept, joint), "\n ")
	if strings.HasSuffix(mark, "-") {
		return text
	}
	return text + "\n"
}

func splitKey(text string) (key, rest string) {
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case (c == '"' || c == '\'') && i == 0:
			quote = c
		case (c == '{' || c == '[') && i == 0:
			return "", text
		case c == ':' && (i+1 == len(text) || text[i+1] == ' '):
			return text[:i], strings.TrimSpace(text[i+1:])
		}
	}
	return "", text
}

func unquote(text string) (string, error) {
	switch {
	case strings.HasPrefix(text, `"`):
		end := strings.LastIndex(text, `"`)
		return strconv.Unquote(text[:end+1])
	case strings.HasPrefix(text, "'"):
		end := strings.LastIndex(text, "'")
		if end == 0 {
			return "", fmt.Errorf("%s has no closing quote", text)
		}
		return strings.ReplaceAll(text[1:end], "''", "'"), nil
	}
	if at := strings.Index(text, " #"); at >= 0 {
		text = strings.TrimRight(text[:at], " ")
	}
	if text == "null" || text == "~" {
		return "", nil
	}
	return text, nil
}

func parseFlow(text string) (any, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("%q is not JSON: %w", text, err)
	}
	return strung(value), nil
}

func strung(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key := range v {
			v[key] = strung(v[key])
		}
		return v
	case []any:
		for i := range v {
			v[i] = strung(v[i])
		}
		return v
	case nil:
		return ""
	case string:
		return v
	}
	return fmt.Sprint(value)
}
