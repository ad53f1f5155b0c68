#!/bin/bash
# examples/mistakes: the report names line, expression and reason; the corrected twin verifies here and loads into the kernel.
. "${SRCDIR:=$PWD}/test/lib.sh"

from=$SRCDIR/examples/mistakes
fixed=("$from"/*.fixed.bpf.c)
wrong=("${fixed[@]/.fixed/}")
is "twelve mistakes, each with a twin" 24 "$(ls "$from"/*.bpf.c | wc -l)"
$SKEP verify --json "${wrong[@]}" >bad.json 2>/dev/null; is "mistakes: status" 1 $?
$SKEP verify "${wrong[@]}" >/dev/null 2>bad.txt
$SKEP verify --json --kernel 5.15 "$from/uninit_stack.bpf.c" >old.json 2>/dev/null # a mistake for kernels before 6.3
$SKEP verify --kernel 5.15 "$from/uninit_stack.bpf.c" 2>&1 >/dev/null | sed "s|^|old: |" >>bad.txt

# name, code, line, what stands above the mark, what the notes say, and what is known
mistake() {
	local rows=bad.json p
	[ "$1" = uninit_stack ] && rows=old.json
	p=$(jq -c --arg n "/$1.bpf.c" '[.[] | select(.file | endswith($n))][0].problem' $rows)
	is "$1: the code" "$2" "$(jq -r .code <<<"$p")"
	is "$1: the line" "$3" "$(jq -r '.line as $l | if $l == 0 then .notes[1].line else $l end' <<<"$p")"
	like "$1: the C line" "$4" "$(jq -r '.line_text // .notes[1].line_text' <<<"$p")"
	like "$1: where it comes from" "$5" "$(jq -r '[.notes[] | "\(.line): \(.text)"] | join("; ")' <<<"$p")"
	like "$1: the reason" "$6" "$(jq -r '[.sentence, .needed // "", .known // ""] | join("; ")' <<<"$p")"
}
mistake null_check SK0103 18 '\*count \+= 1' '16: R0 is what bpf_map_lookup_elem returns' 'R0 holds a map value or NULL'
mistake packet_bounds SK0204 21 'ip->protocol' '17: this comparison with the end shows that 14 bytes' 'bytes 23 to 23.*14 bytes are there'
mistake unbounded_index SK0206 14 'packets_by_queue\[queue\]' '12: the index is read from field rx_queue_index' \
	'0\.\.120: 8 of 128 bytes are accessed; the offset is 0\.\.34359738360'
mistake wrong_copy SK0211 32 'bpf_ringbuf_output\(&events, name, length' \
	'30: tested before: R0 <= 32 .*only 32 bits are kept.*28: the length is what bpf_probe_read_user_str' '0\.\.4294967295'
mistake stack_size SK0620 9 'is_text\(struct' 'drop_text uses 256 bytes.*is_text uses 304 bytes' 'at most 512 bytes; 560 bytes'
mistake endless_loop SK0619 11 'while \(task\)' '11: this loop went round [0-9]+ times' '8192 branches'
mistake wrong_helper SK0407 10 'bpf_xdp_adjust_head' '' 'sched_cls cannot call bpf_xdp_adjust_head'
mistake context_access SK0226 9 'skb->data_end' '' 'data_end at offset 80 .* socket_filter'
mistake uninit_stack SK0218 26 'bpf_map_lookup_elem\(&counts, &key\)' '' '8 bytes.*byte 5 was not'
mistake leaked_reference SK0301 27 '}' '18: taken here by bpf_ringbuf_reserve; 23: the path that does not give it back' 'bpf_ringbuf_reserve in line 18'
mistake stale_packet SK0104 19 'eth->h_dest\[0\]' '17: bpf_skb_pull_data may move the packet.*11: R7 is read from field data' 'until the call'
mistake signed_offset SK0122 19 'data \+ label->skip' 'extended with its sign.*read from the packet' '-2147483648'
marks=$(grep -B1 '^      | *[	 ]*^' bad.txt | grep -c '^ *[0-9]* |')
is "every report has a mark under the expression" ok "$([ "$marks" -ge 12 ] && echo ok || echo "$marks marks")"
is "a mark is as long as its expression" '^~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~' \
	"$(grep -A1 '16 |.*bpf_map_lookup_elem(&counts, &pid)' bad.txt | sed -n '2s/.*| *//p')"

$SKEP verify --json "${fixed[@]}" >fixed.json; is "corrected: status" 0 $?
is "corrected: all verify" "success" "$(jq -r '[.[].verdict] | unique | join(" ")' fixed.json)"
is "corrected: for the kernels before 6.3, too" success \
	"$($SKEP verify --json --kernel 5.15 "$from/uninit_stack.fixed.bpf.c" | jq -r '.[0].verdict')"
if $SKEP feature --json | jq -e '.kernel_bpf.granted' >/dev/null; then
	$SKEP verify --json --kernel=running "${fixed[@]}" >kernel.json; is "corrected, in the kernel: status" 0 $?
	is "corrected: all load into the kernel" "12 success" "$(jq -r '"\(length) " + ([.[].verdict] | unique | join(" "))' kernel.json)"
	$SKEP verify --json --kernel=running "${wrong[@]}" >kernel.json 2>/dev/null
	is "mistakes: the kernel refuses them with the same codes" "[]" \
		"$(jq -c --slurpfile k kernel.json '[.[] | . as $r | ($k[0][] | select(.file == $r.file)) as $o |
			select($o.verdict != $r.verdict or ($o.problem.code // $r.problem.code) != $r.problem.code) | .file]' bad.json)"
else
	skip "corrected: all load into the kernel" "bpf() is not granted"
fi
done_testing
