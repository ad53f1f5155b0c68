#!/usr/bin/env python3
"""LLVM's text of functions without loops and memory, as questions to an SMT solver.

    ir_to_smt.py FILE.ll             the names of the functions that start with prove_
    ir_to_smt.py FILE.ll FUNCTION    an SMT-LIB 2 script: unsatisfiable when the function returns true for all arguments

A function becomes one definition a value, in the order in which control passes: a block's condition is that one of the
edges into it is taken, a phi chooses by edge. Overflow wraps, whatever the flags say. What is not understood ends the
program with status 2: nothing is proved about it."""
import re
import sys

BINARY = {"add": "bvadd", "sub": "bvsub", "mul": "bvmul", "and": "bvand", "or": "bvor", "xor": "bvxor",
          "shl": "bvshl", "lshr": "bvlshr", "ashr": "bvashr", "udiv": "bvudiv", "urem": "bvurem", "sdiv": "bvsdiv"}
COMPARE = {"eq": "=", "ugt": "bvugt", "uge": "bvuge", "ult": "bvult", "ule": "bvule", "sgt": "bvsgt", "sge": "bvsge",
           "slt": "bvslt", "sle": "bvsle"}
PICK = {"umin": "bvule", "umax": "bvuge", "smin": "bvsle", "smax": "bvsge"}
FLAGS = r"(?:nuw |nsw |exact |disjoint |nneg |samesign )*"


def fail(why):
    sys.exit("ir_to_smt: " + why)


def width(type_):
    if not re.fullmatch(r"i\d+", type_):
        fail("a value of type " + type_)
    return int(type_[1:])


class Function:
    def __init__(self, params, body):
        self.out, self.sizes, self.n = [], {}, 0
        for type_, name in params:
            self.sizes[name] = width(type_)
            self.out.append(f"(declare-const {name} (_ BitVec {width(type_)}))")
        self.blocks, self.edges, self.returns = self.split(body, str(len(params))), {}, []

    @staticmethod
    def split(body, first):
        """By name; the first one may have none, and is called by its number then."""
        blocks, at = {}, None
        for line in body:
            line = re.sub(r"\s*;.*|, !\w+.*|^\s+| #\d+(?=,|$)", "", line)
            label = re.fullmatch(r"([\w.]+):", line)
            if label:
                at = blocks.setdefault(label.group(1), [])
            elif line:
                if at is None:
                    at = blocks.setdefault(first, [])
                at.append(line)
        return blocks

    def value(self, text, size):
        text = text.strip()
        if text.startswith("%"):
            return "v" + text[1:].replace(".", "_")
        if text in ("true", "false"):
            return "#b1" if text == "true" else "#b0"
        if text in ("undef", "poison"):
            self.n += 1
            self.out.append(f"(declare-const any{self.n} (_ BitVec {size}))")
            return f"any{self.n}"
        return f"(_ bv{int(text) % (1 << size)} {size})"

    def define(self, name, size, text):
        self.sizes[name] = size
        self.out.append(f"(define-fun {name} () (_ BitVec {size}) {text})")

    def condition(self, name, text):
        self.out.append(f"(define-fun {name} () Bool {text})")

    def order(self):
        """The blocks, each behind all it is entered from."""
        ends = {b: re.findall(r"label %([\w.]+)", lines[-1] if lines[-1].startswith(("br", "ret", "unreachable"))
                              else " ".join(lines[next(i for i, l in enumerate(lines) if l.startswith("switch")):]))
                for b, lines in self.blocks.items()}
        done, active, result = set(), set(), []

        def visit(block):
            if block in done:
                return
            if block in active:
                fail("a loop")
            active.add(block)
            for to in ends[block]:
                visit(to)
            done.add(block)
            result.append(block)
        visit(next(iter(self.blocks)))
        return result[::-1]

    def translate(self):
        first = next(iter(self.blocks))
        for block in self.order():
            into = [e for (a, b), e in self.edges.items() if b == block]
            self.condition("at_" + block.replace(".", "_"), "true" if block == first else "(or false " + " ".join(into) + ")")
            lines = self.blocks[block]
            for i, line in enumerate(lines):
                self.instruction(block, line if not line.startswith("switch") else " ".join(lines[i:]))
                if line.startswith("switch"):
                    break
        return "\n".join(["(set-logic QF_BV)"] + self.out +
                         [f"(assert (or false {' '.join(self.returns)}))", "(check-sat)"])

    def edge(self, a, b, cond):
        at = "at_" + a.replace(".", "_")
        cond = f"(and {at} {cond})"
        self.edges[a, b] = f"(or {self.edges[a, b]} {cond})" if (a, b) in self.edges else cond

    def instruction(self, block, line):
        m = re.fullmatch(r"(?:%([\w.]+) = )?(.*)", line)
        name, text = m.group(1), m.group(2)
        name = name and "v" + name.replace(".", "_")
        for method in (self.terminator, self.arithmetic, self.convert, self.call):
            if method(block, name, text):
                return
        fail("not understood: " + line)

    def terminator(self, block, name, text):
        if text == "unreachable":
            return True
        m = re.fullmatch(r"ret i1 (.*)", text)
        if m:
            self.returns.append(f"(and at_{block.replace('.', '_')} (= {self.value(m.group(1), 1)} #b0))")
            return True
        m = re.fullmatch(r"br label %([\w.]+)", text)
        if m:
            self.edge(block, m.group(1), "true")
            return True
        m = re.fullmatch(r"br i1 (.*), label %([\w.]+), label %([\w.]+)", text)
        if m:
            cond = self.value(m.group(1), 1)
            self.edge(block, m.group(2), f"(= {cond} #b1)")
            self.edge(block, m.group(3), f"(= {cond} #b0)")
            return True
        m = re.fullmatch(r"switch (i\d+) ([^,]+), label %([\w.]+) \[(.*)\]", text)
        if m:
            size = width(m.group(1))
            on, others = self.value(m.group(2), size), []
            for case, to in re.findall(r"i\d+ (-?\d+), label %([\w.]+)", m.group(4)):
                others.append(f"(= {on} {self.value(case, size)})")
                self.edge(block, to, others[-1])
            self.edge(block, m.group(3), f"(not (or false {' '.join(others)}))")
            return True
        m = re.fullmatch(r"phi (i\d+) (.*)", text)
        if m:
            size, result = width(m.group(1)), None
            for value, of in re.findall(r"\[ ([^,]+), %([\w.]+) \]", m.group(2)):
                value = self.value(value, size)
                if of not in self.blocks:
                    fail("no block " + of)
                if (of, block) in self.edges: # from a block that control never reaches otherwise
                    result = value if result is None else f"(ite {self.edges[of, block]} {value} {result})"
            self.define(name, size, result)
            return True
        return False

    def arithmetic(self, block, name, text):
        m = re.fullmatch(r"(\w+) " + FLAGS + r"(i\d+) ([^,]+), ([^,]+)", text)
        if m and m.group(1) in BINARY:
            size = width(m.group(2))
            self.define(name, size, f"({BINARY[m.group(1)]} {self.value(m.group(3), size)} {self.value(m.group(4), size)})")
            return True
        m = re.fullmatch(r"icmp (?:samesign )?(\w+) (i\d+) ([^,]+), ([^,]+)", text)
        if m:
            size = width(m.group(2))
            a, b = self.value(m.group(3), size), self.value(m.group(4), size)
            cond = f"(not (= {a} {b}))" if m.group(1) == "ne" else f"({COMPARE[m.group(1)]} {a} {b})"
            self.define(name, 1, f"(ite {cond} #b1 #b0)")
            return True
        m = re.fullmatch(r"select i1 ([^,]+), (i\d+) ([^,]+), i\d+ ([^,]+)", text)
        if m:
            size = width(m.group(2))
            self.define(name, size, f"(ite (= {self.value(m.group(1), 1)} #b1) {self.value(m.group(3), size)} "
                                    f"{self.value(m.group(4), size)})")
            return True
        return False

    def convert(self, block, name, text):
        m = re.fullmatch(r"(zext|sext|trunc|freeze) " + FLAGS + r"(i\d+) (\S+)(?: to (i\d+))?", text)
        if m:
            size = width(m.group(2))
            to, value = width(m.group(4) or m.group(2)), self.value(m.group(3), size)
            if m.group(1) == "trunc":
                value = f"((_ extract {to - 1} 0) {value})"
            elif to > size:
                value = f"((_ {'zero' if m.group(1) == 'zext' else 'sign'}_extend {to - size}) {value})"
            self.define(name, to, value)
            return True
        m = re.fullmatch(r"extractvalue \{ i\d+, i1 \} %([\w.]+), ([01])", text)
        if m:
            source = "v" + m.group(1).replace(".", "_") + ("_over" if m.group(2) == "1" else "_value")
            self.define(name, self.sizes[source], source)
            return True
        return False

    def call(self, block, name, text):
        m = re.fullmatch(r"(?:tail |notail )?call (?:range\([^)]*\) )?(.*?) @llvm\.([\w.]+)\((.*)\)", text)
        if not m:
            return False
        what = m.group(2)
        if what.startswith(("assume", "lifetime", "dbg", "experimental.noalias")):
            return True
        args = re.findall(r"(i\d+) (?:noundef )?([^,]+)", m.group(3))
        size = width(args[0][0])
        v = [self.value(a, width(t)) for t, a in args]
        kind = what.split(".")[0]
        if kind in PICK:
            self.define(name, size, f"(ite ({PICK[kind]} {v[0]} {v[1]}) {v[0]} {v[1]})")
        elif ".with.overflow" in what:
            self.overflow(name, kind, size, v)
        elif kind in ("ctlz", "cttz"):
            result = self.value(str(size), size)
            for bit in range(size) if kind == "ctlz" else reversed(range(size)):
                zeros = size - 1 - bit if kind == "ctlz" else bit
                result = f"(ite (= ((_ extract {bit} {bit}) {v[0]}) #b1) {self.value(str(zeros), size)} {result})"
            self.define(name, size, result)
        elif kind == "ctpop":
            bits = " ".join(f"((_ zero_extend {size - 1}) ((_ extract {i} {i}) {v[0]}))" for i in range(size))
            self.define(name, size, f"(bvadd {bits})")
        elif kind in ("fshl", "fshr"):
            by = f"(concat {self.value('0', size)} (bvurem {v[2]} {self.value(str(size), size)}))"
            both = f"(concat {v[0]} {v[1]})"
            self.define(name, size, f"((_ extract {2 * size - 1} {size}) (bvshl {both} {by}))" if kind == "fshl" else
                        f"((_ extract {size - 1} 0) (bvlshr {both} {by}))")
        elif kind == "bswap":
            self.define(name, size, "(concat " + " ".join(f"((_ extract {i + 7} {i}) {v[0]})" for i in range(0, size, 8)) + ")")
        else:
            return False
        return True

    def overflow(self, name, kind, size, v):
        extend = "sign_extend" if kind[0] == "s" else "zero_extend"
        more = size if kind[1:] == "mul" else 1
        a, b = (f"((_ {extend} {more}) {x})" for x in v)
        self.define(name + "_wide", size + more, f"(bv{kind[1:]} {a} {b})")
        self.define(name + "_value", size, f"((_ extract {size - 1} 0) {name}_wide)")
        self.define(name + "_over", 1, f"(ite (= ((_ {extend} {more}) {name}_value) {name}_wide) #b0 #b1)")


def main():
    functions, at = {}, None
    for line in open(sys.argv[1], encoding="utf-8"):
        m = re.match(r"define .*@(prove_\w+)\((.*)\)", line)
        if m:
            params = re.findall(r"(i\d+)[\w ]*? %([\w.]+)(?:,|$)", m.group(2))
            at = functions[m.group(1)] = ([(t, "v" + n.replace(".", "_")) for t, n in params], [])
        elif line.startswith("}"):
            at = None
        elif at:
            at[1].append(line.rstrip())
    if len(sys.argv) < 3:
        print("\n".join(functions))
        return
    print(Function(*functions[sys.argv[2]]).translate())


main()
