# shellcheck shell=sh
# What meshvm remembers on the machine, all under $STATE: whose the machine is (mark), what it had before (before/),
# and what a change replaced (previous/), so that each can be taken back.

HOSTS=/etc/hosts

# remember_absent NAME TEST...: once, note that the machine did not have this before us.
remember_absent() {
	name=$1
	shift
	mkdir -p "$STATE/before"
	[ -e "$STATE/before/$name.had" ] || [ -e "$STATE/before/$name.had-not" ] || {
		if "$@"; then true >"$STATE/before/$name.had"; else true >"$STATE/before/$name.had-not"; fi
	}
}

# ours NAME: the machine did not have it before us, so it goes when we go.
ours() {
	[ -e "$STATE/before/$1.had-not" ]
}

exists() {
	[ -e "$1" ] || [ -L "$1" ]
}

# put PATH MODE OWNER CONTENT: write a file through a neighbour and a rename, so that a reader sees the old or the new
# one. True when the content is another than before.
put() {
	path=$1 mode=$2 owner=$3
	fresh=$path.meshvm
	printf '%s' "$4" >"$fresh" || fail "cannot write $fresh: is the file system full or read-only? Free it and run the update again"
	{ chown "$owner" "$fresh" && chmod "$mode" "$fresh"; } || fail "cannot give $fresh the owner $owner"
	if [ -f "$path" ] && cmp -s "$fresh" "$path"; then
		rm -f "$fresh"
		chown "$owner" "$path" && chmod "$mode" "$path"
		return 1
	fi
	mv -f "$fresh" "$path" || fail "cannot replace $path"
}

# keep_previous PATH: what this run is about to change, until the change has proved itself.
keep_previous() {
	slot=$STATE/previous/$(printf '%s' "$1" | tr / _)
	mkdir -p "$STATE/previous"
	if [ -f "$1" ]; then cp -p "$1" "$slot"; else true >"$slot.none"; fi
}

# put_back PATH: as it was before this run.
put_back() {
	slot=$STATE/previous/$(printf '%s' "$1" | tr / _)
	if [ -e "$slot" ]; then cp -p "$slot" "$1"; elif [ -e "$slot.none" ]; then rm -f "$1"; fi
}

# Our lines of /etc/hosts.
our_hosts() {
	sed -n '/^# meshvm begin$/,/^# meshvm end$/{ /^# meshvm /d; p; }' "$HOSTS"
}

# hosts_block LINES: our lines of /etc/hosts between two marks, everything else as it is; no lines, no block. The file
# keeps its inode, because it may be a mount.
hosts_block() {
	sed '/^# meshvm begin$/,/^# meshvm end$/d' "$HOSTS" >"$STATE/hosts"
	if [ -n "$1" ]; then
		printf '# meshvm begin\n%s\n# meshvm end\n' "$1" >>"$STATE/hosts"
	fi
	cmp -s "$STATE/hosts" "$HOSTS" || cat "$STATE/hosts" >"$HOSTS" || fail "cannot write $HOSTS"
	rm -f "$STATE/hosts"
}
