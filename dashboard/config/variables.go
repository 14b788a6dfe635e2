package config

// Variable describes one environment variable.
type Variable struct {
	Name    string
	Default string // as one would write it; empty: unset
	Form    string // completes "is not …"
	Example string
	Meaning string
	Secret  bool // masked wherever it is shown
	File    bool // may come from a file named by NAME_FILE instead
}

// Variables lists all variables in the order in which they are shown.
func Variables() []Variable { return variables }

const (
	formPositive = "a duration such as 90s, 10m or 1h, or a number of seconds"
	formAddrs    = "host:port addresses separated by commas"
	formBytes    = "a number of bytes, with KiB, MiB or GiB if you like"
)

var variables = []Variable{
	{Name: "ADDR", Default: "127.0.0.1:8000", Form: "host:port", Example: "0.0.0.0:8000",
		Meaning: "Address to listen on. Off loopback every change needs a token."},
	{Name: "PPROF_ADDR", Form: "host:port of a loopback address", Example: "127.0.0.1:6060", Meaning: "Address for profiles of the running process; never a public one."},
	{Name: "DATABASE_URL", Default: "sqlite:qadash-data/qadash.db", Form: "sqlite:PATH or postgres://user@host/database",
		Example: "postgres://qadash@db.example/qadash", Secret: true, File: true, Meaning: "The database."},
	{Name: "AUTH_MODE", Default: "auto", Form: "auto or token", Example: "token",
		Meaning: "auto: changes need a token unless ADDR is a loopback address; token: always."},
	{Name: "ADMIN_TOKEN", Form: "at least 16 printable characters without spaces", Example: "$(openssl rand -hex 24)", Secret: true, File: true,
		Meaning: "Bearer token with the admin scope."},
	{Name: "DEFAULT_BRANCH", Default: "main", Form: "a branch name of at most 200 characters", Example: "trunk",
		Meaning: "Branch whose newest runs the overview judges."},
	{Name: "PUBLIC_URL", Form: "an http or https address", Example: "https://qa.example", Meaning: "Where readers find this server; put into webhooks."},
	{Name: "WEBHOOK_ALLOW_PRIVATE", Default: "false", Form: "true or false", Example: "true", Meaning: "Lets webhooks go to private and loopback addresses."},
	{Name: "LOG_LEVEL", Default: "info", Form: "debug, info, warn or error", Example: "debug", Meaning: "Least severe record that is logged."},
	{Name: "LOG_FORMAT", Default: "text", Form: "text or json", Example: "json", Meaning: "Form of a log record."},

	{Name: "CACHE_ENABLED", Default: "true", Form: "true or false", Example: "false", Meaning: "false: every read goes to the database. Caches of other processes on it are told of changes all the same."},
	{Name: "CACHE_NAMESPACE", Default: "qadash", Form: "1 to 64 letters, digits, dots, dashes or underscores", Example: "qadash-staging",
		Meaning: "Separates installations on one Redis."},
	{Name: "CACHE_MEMORY_BYTES", Default: "64MiB", Form: formBytes, Example: "256MiB", Meaning: "Budget of the memory tier."},
	{Name: "CACHE_MAX_STALENESS", Form: formPositive, Example: "1s", Meaning: "How long a memory hit may lag behind an invalidation at most."},
	{Name: "CACHE_TTL_SHORT", Default: "60s", Form: formPositive, Example: "30s", Meaning: "TTL of executions and figures."},
	{Name: "CACHE_TTL_MEDIUM", Default: "600s", Form: formPositive, Example: "5m", Meaning: "TTL of suites and cases."},
	{Name: "CACHE_TTL_LONG", Default: "3600s", Form: formPositive, Example: "30m", Meaning: "TTL of comparisons of executions of which one runs."},
	{Name: "CACHE_TTL_EXTENDED", Default: "86400s", Form: formPositive, Example: "12h", Meaning: "TTL of comparisons of executions that have ended."},
	{Name: "CACHE_TTL_DEFAULT", Default: "300s", Form: formPositive, Example: "10m", Meaning: "TTL where nothing else is said."},
	{Name: "CACHE_READ_TIMEOUT", Form: formPositive, Example: "50ms", Meaning: "Longest wait for one read from Redis."},
	{Name: "CACHE_MAX_VALUE", Form: formBytes, Example: "1MiB", Meaning: "Largest value that is cached."},
	{Name: "CACHE_COMPRESS_MIN", Default: "1KiB", Form: "a number of bytes from 1, with KiB, MiB or GiB if you like, or off", Example: "4KiB",
		Meaning: "Smallest value that is compressed for Redis; off: none is."},
	{Name: "CACHE_KEY_FILE", Form: "the path of a key file: one id:secret a line, secrets of 32 bytes in base64, mode 0600, 0640 or 0400", Example: "/run/secrets/cache_keys",
		Meaning: "Keys that values in Redis are encrypted with, the first for new ones. Unset: none is."},

	{Name: "REDIS_URL", Form: "a redis://, rediss:// or unix:// URL, or one of redis+cluster:// and redis+sentinel://", Example: "redis://cache.example:6379/0", Secret: true,
		Meaning: "Redis; wins over the other REDIS_ variables."},
	{Name: "REDIS_HOST", Default: "localhost", Form: "a host name or address", Example: "cache.example", Meaning: "Host of Redis."},
	{Name: "REDIS_PORT", Default: "6379", Form: "a port from 1 to 65535", Example: "6380", Meaning: "Port of Redis."},
	{Name: "REDIS_USERNAME", Form: "a user name", Example: "qadash", Meaning: "ACL user."},
	{Name: "REDIS_PASSWORD", Form: "text", Example: "s3cret", Secret: true, File: true, Meaning: "Password. The word None means none."},
	{Name: "REDIS_DB", Default: "0", Form: "a number from 0 to 1023", Example: "1", Meaning: "Logical database."},
	{Name: "REDIS_SENTINEL_ADDRS", Form: formAddrs, Example: "s1:26379,s2:26379", Meaning: "Sentinels that know the master, instead of REDIS_HOST."},
	{Name: "REDIS_SENTINEL_MASTER", Form: "text", Example: "mymaster", Meaning: "Name under which the Sentinels watch the master; required with REDIS_SENTINEL_ADDRS."},
	{Name: "REDIS_SENTINEL_USERNAME", Form: "a user name", Example: "qadash", Meaning: "ACL user of the Sentinels."},
	{Name: "REDIS_SENTINEL_PASSWORD", Form: "text", Example: "s3cret", Secret: true, File: true, Meaning: "Password of the Sentinels."},
	{Name: "REDIS_CLUSTER_ADDRS", Form: formAddrs, Example: "n1:6379,n2:6379", Meaning: "Some nodes of a Redis Cluster, instead of REDIS_HOST."},
	{Name: "REDIS_TLS", Form: "true or false", Example: "true", Meaning: "Encrypted connection; true when one of the next is set."},
	{Name: "REDIS_TLS_CA_FILE", Form: "the path of a readable file", Example: "/etc/ssl/redis-ca.pem", Meaning: "Certificates that may sign the server's."},
	{Name: "REDIS_TLS_CERT_FILE", Form: "the path of a readable file", Example: "/etc/ssl/qadash.pem", Meaning: "Certificate of this client."},
	{Name: "REDIS_TLS_KEY_FILE", Form: "the path of a readable file", Example: "/etc/ssl/qadash.key", Meaning: "Its private key."},
	{Name: "REDIS_TLS_SERVER_NAME", Form: "a host name", Example: "redis.example", Meaning: "Name in the server's certificate; default the host."},
	{Name: "REDIS_TRACKING_TABLE_MAX_KEYS", Default: "1000000", Form: "a number from 1", Example: "1000000",
		Meaning: "tracking-table-max-keys of Redis, if REDIS_USERNAME may not ask; a smaller table outdates memory unnoticed."},
	{Name: "REDIS_UNTRACKED", Default: "ttl", Form: "ttl or validated", Example: "validated",
		Meaning: "Where Redis does not push: ttl keeps memory for a quarter of CACHE_MAX_STALENESS, validated asks Redis for every read."},
	{Name: "REDIS_TLS_INSECURE", Form: "true or false", Example: "false", Meaning: "true accepts any certificate."},
}

func describe(name string) Variable {
	for _, v := range variables {
		if v.Name == name {
			return v
		}
	}
	panic("config: undescribed variable " + name)
}
