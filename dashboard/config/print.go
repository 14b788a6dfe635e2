package config

import (
	"fmt"
	"io"
	"net/url"
	"strings"
)

const masked = "••••••"

// Print writes every variable with its value in effect, a line each, secrets
// masked, in a form that a shell can read back where nothing is masked.
func Print(w io.Writer, env Env) error {
	r := reader{env: env}
	for _, v := range variables {
		value, explicit := r.raw(v.Name)
		if v.Secret && value != "" {
			value = mask(v.Name, value)
		}
		if path, ok := env(v.Name + "_FILE"); v.File && ok && path != "" {
			value, explicit = masked+" from "+path, true
		}
		origin := "default"
		if explicit {
			origin = "set"
		}
		if _, err := fmt.Fprintf(w, "%-7s %s=%s\n", origin, v.Name, value); err != nil {
			return err
		}
	}
	return nil
}

// Table writes all variables as a table in Markdown, for the documentation.
func Table(w io.Writer) error {
	out := "| variable | default | value | meaning |\n|---|---|---|---|\n"
	for _, v := range variables {
		name, fallback := "`"+v.Name+"`", "unset"
		if v.File {
			name += ", `" + v.Name + "_FILE`"
		}
		if v.Default != "" {
			fallback = "`" + v.Default + "`"
		}
		out += fmt.Sprintf("| %s | %s | %s, such as `%s` | %s |\n", name, fallback, v.Form, v.Example, v.Meaning)
	}
	_, err := io.WriteString(w, out)
	return err
}

// mask hides a secret. Of a URL only the password and the query are secret:
// the rest is what one wants to see when a connection fails.
func mask(name, value string) string {
	if !strings.HasSuffix(name, "_URL") {
		if value == "None" {
			return value
		}
		return masked
	}
	if strings.HasPrefix(value, "sqlite:") {
		return value
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme == "" || u.Opaque != "" {
		return masked
	}
	if _, ok := u.User.Password(); ok {
		u.User = url.UserPassword(u.User.Username(), "masked")
	}
	if u.RawQuery != "" {
		u.RawQuery = "masked"
	}
	return u.String()
}
