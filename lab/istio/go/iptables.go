// Stand-in, iptables: which iptables of the machine, are the rules there already, how are they put in and taken back?
package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

func rulesCommand(args []string) error {
	if err := environmentOf(args); err != nil {
		return err
	}
	c, err := readCapture()
	if err != nil {
		return err
	}
	if c.dry {
		info("", "running iptables in dry-run mode, no rule changes will be made")
		return nil
	}
	return c.program()
}

// target is one family's iptables and the rules that it shall hold.
type target struct {
	tool  tool
	rules []rule
}

func (c *capture) program() error {
	four, err := detect("iptables", c.binary)
	if err != nil {
		return err
	}
	six, err := detect("ip6tables", c.binary) // looked for, and so tried out, even where no rule is for it
	if err != nil && c.v6 != nil {
		return err
	}
	if err := c.ranges(); err != nil {
		return err
	}
	targets := []target{{four, rulesFor(c, c.v4)}}
	if c.v6 != nil {
		targets = append(targets, target{six, rulesFor(c, *c.v6)})
	}
	residue, missing := false, false
	for _, t := range targets {
		there, whole := t.standing()
		residue, missing = residue || there, missing || !whole
	}
	if residue && missing && !c.reconcile {
		info("", "reconcile is recommended but no-reconcile flag is set. Unexpected behavior may occur due to preexisting iptables rules")
	}
	if c.cleanup || residue && missing && c.reconcile {
		for _, t := range targets {
			t.clean()
		}
	}
	if c.cleanup || !missing && !c.force {
		return nil
	}
	for _, t := range targets {
		if err := t.restore(); err != nil {
			return err
		}
	}
	return nil
}

// tool is one variant of iptables: the name of its program.
type tool string

// detect chooses like the original: legacy when its save has three lines or more, then nft, then whatever iptables is.
// Each is tried out with a rule that matches nothing. That leaves an empty table of legacy behind, which counts the next
// time: the first call on a fresh machine takes nft, all later ones legacy. So a clean-up finds the rules only if one
// came before.
func detect(program, forced string) (tool, error) {
	if forced != "" {
		if forced != "legacy" && forced != "nft" {
			return "", fmt.Errorf("invalid FORCE_IPTABLES_BINARY value %q", forced)
		}
		chosen := tool(program + "-" + forced)
		_, err := chosen.usable()
		return chosen, err
	}
	if lines, err := tool(program + "-legacy").usable(); err == nil && lines >= 3 {
		return tool(program + "-legacy"), nil
	}
	if _, err := tool(program + "-nft").usable(); err == nil {
		return tool(program + "-nft"), nil
	}
	_, err := tool(program).usable()
	return tool(program), err
}

// usable gives the lines of what the variant had saved before it was tried out.
func (t tool) usable() (int, error) {
	saved, err := exec.Command(string(t) + "-save").CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("failed to execute %s-save: %w %s", t, err, saved)
	}
	nothing := "INPUT -p 255 -j RETURN"
	if said, err := t.command("-A " + nothing); err != nil || strings.Contains(said, "does not exist") {
		return 0, fmt.Errorf("iptables binary %s has no loaded kernel support and cannot be used, err: %v out: %s", t, err, said)
	}
	_, _ = t.command("-D " + nothing)
	return strings.Count(string(saved), "\n"), nil
}

func (t tool) command(words string) (string, error) {
	return t.inTable("nat", words)
}

func (t tool) inTable(table, words string) (string, error) {
	said, err := exec.Command(string(t), append([]string{"-w", "-t", table}, strings.Fields(words)...)...).CombinedOutput()
	return string(said), err
}

// standing tells whether any chain of Istio's is there, and whether all of the rules are, in chains of the right length.
func (t target) standing() (residue, whole bool) {
	saved, _ := exec.Command(string(t.tool) + "-save").Output()
	found, wanted, table := map[string]int{}, map[string]int{}, ""
	for _, line := range strings.Split(string(saved), "\n") {
		switch {
		case strings.HasPrefix(line, "*"):
			table = line[1:]
		case strings.HasPrefix(line, ":ISTIO_"):
			found[table+" "+strings.Fields(line)[0][1:]] += 0
		case strings.HasPrefix(line, "-A ISTIO_"):
			found[table+" "+strings.Fields(line)[1]]++
		}
	}
	for _, r := range t.rules {
		if strings.HasPrefix(r.chain, "ISTIO_") {
			wanted[r.table+" "+r.chain]++
		}
	}
	if len(found) == 0 {
		return false, false
	}
	for chain, rules := range wanted {
		if have, there := found[chain]; !there || have != rules {
			return true, false
		}
	}
	for _, r := range t.rules {
		if _, err := t.tool.inTable(r.table, "-C "+r.chain+" "+r.words); err != nil {
			return true, false
		}
	}
	return true, len(found) == len(wanted)
}

func (t target) restore() error {
	text := ""
	for _, table := range []string{"mangle", "nat", "raw"} {
		chains, targets, lines := []string{}, []string{}, ""
		for _, r := range t.rules {
			if r.table == table {
				chains, targets = append(chains, r.chain), append(targets, r.target())
				lines += r.line() + "\n"
			}
		}
		chains = ownChains(append(chains, targets...))
		if lines != "" {
			text += "*" + table + "\n" + strings.Join(prefixed("-N ", chains), "\n") + "\n" + lines + "COMMIT\n"
		}
	}
	restore := exec.Command(string(t.tool)+"-restore", "--noflush")
	restore.Stdin = strings.NewReader(text)
	if said, err := restore.CombinedOutput(); err != nil {
		return fmt.Errorf("failed to execute: %s-restore --noflush: %w: %s", t.tool, err, strings.TrimSpace(string(said)))
	}
	info("", "%s-restore: %d rules", t.tool, len(t.rules))
	return nil
}

// clean takes back the rules of this environment, last first; rules of another environment stay, as they do in the
// original. What is not there is no error, and neither is a chain that is still in use.
func (t target) clean() {
	chains := []string{}
	for i := len(t.rules) - 1; i >= 0; i-- {
		r := t.rules[i]
		own := strings.HasPrefix(r.chain, "ISTIO_")
		if !own || strings.HasPrefix(r.target(), "ISTIO_") {
			_, _ = t.tool.inTable(r.table, "-D "+r.chain+" "+r.words)
		}
		if chain := r.table + " " + r.chain; own && !slices.Contains(chains, chain) {
			chains = append(chains, chain)
		}
	}
	for _, chain := range chains {
		table, name, _ := strings.Cut(chain, " ")
		_, _ = t.tool.inTable(table, "-F "+name)
		_, _ = t.tool.inTable(table, "-X "+name)
	}
}

// ownChains are Istio's among these, each once.
func ownChains(names []string) []string {
	found := []string{}
	for _, name := range names {
		if strings.HasPrefix(name, "ISTIO_") && !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	return found
}
