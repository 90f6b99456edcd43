# What the document of a pair runs on a server. Systems Manager replaces {{ ... }}, and the pair's commands replace the
# line "# COMMANDS", each as `step) /bin/sh -c 'command' ;;`.
#
# The output goes to a file, so that a daemon that the command starts does not keep the script waiting. Of more than
# 24,000 characters, Systems Manager keeps only the beginning, and of a command that it has to kill, nothing: so the
# script kills itself, with all that it started, just before. Source: API reference of GetCommandInvocation.
export PAIR='{{ Pair }}' SERVER='{{ Server }}' RELEASE='{{ Release }}' EXECUTION='{{ Execution }}'
output=$(mktemp) || exit 1
(
sleep $(({{ TimeoutSeconds }} - 2)) >/dev/null 2>&1
tail -n 20 "$output" | tail -c 20000; rm -f "$output"
echo "(killed after {{ TimeoutSeconds }} s, its timeoutSeconds)"
sleep 1 >/dev/null 2>&1
kill -KILL 0
) &
deadline=$!
case '{{ Step }}' in
# COMMANDS
esac >"$output" 2>&1 </dev/null
code=$?
kill "$deadline"
tail -n 20 "$output" | tail -c 20000; rm -f "$output"
exit "$code"
