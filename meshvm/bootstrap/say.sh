# shellcheck shell=sh
# What the scripts say. Commands that a script runs write to a log on the machine, which root alone reads; what the
# user sees is the result on success and one sentence on failure, always the last line.

set -u
umask 077
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL

STATE=/var/lib/meshvm
LOG=$STATE/log
LOCK=/run/meshvm.lock

# fail SENTENCE: say it as the last word and end. File descriptor 3 is the user's.
fail() {
	log "failed: $1"
	printf 'meshvm %s on %s: %s\n' "$ACTION" "$(uname -n)" "$1" >&3
	exit 1
}

log() {
	printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" >>"$LOG"
}

# A file is touched by `true >`: a redirection that fails after `:` would end the shell without a word.
# begin ACTION: one action at a time on a machine, everything it prints goes to the log.
begin() {
	ACTION=$1
	exec 3>&2 4>&1
	if ! mkdir -p "$STATE" 2>/dev/null || ! true >>"$LOG" 2>/dev/null; then
		printf 'meshvm %s on %s: cannot write to %s: is its file system full or read-only? Free it and run the update again\n' \
			"$ACTION" "$(uname -n)" "$STATE" >&3
		exit 1
	fi
	chmod 0700 "$STATE"
	exec </dev/null >>"$LOG" 2>&1
	trap 'fail "it took too long and was stopped; the log is $LOG on the machine; run the update again"' TERM
	command -v flock >/dev/null || fail "the command flock is missing; install the package util-linux"
	exec 9>"$LOCK"
	flock -w 120 9 || fail "another run of meshvm holds the machine for two minutes; wait for it to end, then run the update again"
	log "begin $ACTION"
}
