// Draws the workflow of a synthesized CloudFormation template as an SVG for the README.
//
//   node docs/picture.mjs <template.json> <out.svg> [name of the state machine]
//
// A solid edge shows the next state after a success, a dashed edge the next state after a failure (`Catch`). Neighbouring
// states with the same `Catch` are on one card, and the dashed edge leaves the card. An edge that would cross half of the
// picture ends at a tag with the name of its target. The longest path to a `Succeed` state is drawn straight down. The
// text is the `Comment`s of states and of a `Choice`'s rules. The same template gives the same bytes.

import { readFileSync, writeFileSync } from "node:fs";
import { instance } from "@viz-js/viz";

const MEASURED = "Arial"; // a font whose widths Graphviz knows without having it
const FONT = "Helvetica,Arial,sans-serif";
const INK = "#1f2328", QUIET = "#59636e", FAILURE = "#bc4c00";
const LOOKS = {
  Task: { shape: "box", style: "rounded,filled", fillcolor: "#ffffff", color: "#57606a" },
  Choice: { shape: "hexagon", margin: "0.02,0.04", style: "filled", fillcolor: "#fff8c5", color: "#bf8700" },
  Wait: { shape: "box", style: "rounded,filled", fillcolor: "#ddf4ff", color: "#218bff" },
  Pass: { shape: "box", style: "rounded,filled,dashed", fillcolor: "#f6f8fa", color: "#8c959f" },
  Succeed: { shape: "box", style: "rounded,filled", fillcolor: "#1a7f37", color: "#116329", fontcolor: "#ffffff" },
  Fail: { shape: "box", style: "rounded,filled", fillcolor: "#cf222e", color: "#a40e26", fontcolor: "#ffffff" },
};
const STRAIGHT = { weight: 100, penwidth: 1.8 };
const TAG = { shape: "box", style: "rounded", fontsize: 10, height: 0.2, margin: "0.07,0.03" };
const LONGEST_NAME = 20; // characters in one line of a state's name
const FAR = 300; // points from top to bottom
const LEGEND = "Dashed: after a failure; from a card, that of any state on it.";
const ANY_FAILURE = "any failure";

function definitionIn(template, wanted) {
  const machines = Object.entries(template.Resources ?? {})
    .filter(([, resource]) => resource.Type === "AWS::StepFunctions::StateMachine")
    .map(([id, { Properties }]) => ({ id, name: Properties.StateMachineName ?? id, text: Properties.DefinitionString }));
  const found = wanted ? machines.filter(({ id, name }) => [id, name].includes(wanted)) : machines;
  if (found.length !== 1) {
    const names = machines.map(({ name }) => name).join(", ") || "none";
    throw new Error(`found ${found.length} state machines to draw, not 1; name one of: ${names}`);
  }
  return { name: String(found[0].name), ...JSON.parse(resolved(found[0].text)) };
}

// For a value that only a deployment knows (Ref, Fn::GetAtt), the picture shows the name that it comes from.
function resolved(value) {
  if (typeof value === "string") return value;
  if (value?.["Fn::Join"]) return value["Fn::Join"][1].map(resolved).join(value["Fn::Join"][0]);
  if (value?.["Fn::Sub"]) return [value["Fn::Sub"]].flat()[0];
  if (value?.Ref) return value.Ref;
  if (value?.["Fn::GetAtt"]) return [value["Fn::GetAtt"]].flat().join(".");
  throw new Error(`cannot read this in DefinitionString: ${JSON.stringify(value)}`);
}

const branchesOf = (state) => state.Branches ?? [state.ItemProcessor ?? state.Iterator].filter(Boolean);

// The next states if a state does not fail: [{to, label}].
function waysOn(state) {
  if (state.Type !== "Choice") return state.Next ? [{ to: state.Next, label: "" }] : [];
  const rules = state.Choices.map((rule) => ({ to: rule.Next, label: rule.Comment ?? "" }));
  return merged([...rules, ...(state.Default ? [{ to: state.Default, label: "otherwise" }] : [])], " or ");
}

// The next states if a state fails: [{to, label}].
function catches(state) {
  const ways = (state.Catch ?? []).map(({ ErrorEquals, Next }) => ({
    to: Next,
    label: ErrorEquals.some((error) => ["States.ALL", "States.TaskFailed"].includes(error))
      ? ANY_FAILURE
      : ErrorEquals.map((error) => error.replace(/^\w+\./, "").replace(/Exception$/, "")).join(", "),
  }));
  return merged(ways, ", ").map(({ to, label }) => ({ to, label: label.includes(ANY_FAILURE) ? ANY_FAILURE : label }));
}

// If failure and success lead to the same state, they share one edge, and its label says so.
const detours = (state) => catches(state).filter(({ to }) => to !== state.Next);

function evenIf(state) {
  const onward = catches(state).find(({ to }) => to === state.Next);
  return onward ? (onward.label === ANY_FAILURE ? "even if it fails" : `also on ${onward.label}`) : "";
}

function merged(ways, separator) {
  const byTarget = new Map();
  for (const { to, label } of ways) byTarget.set(to, [...(byTarget.get(to) ?? []), label].filter(Boolean));
  return [...byTarget].map(([to, labels]) => ({ to, label: [...new Set(labels)].join(separator) }));
}

// The longest path from the start to a Succeed state that has no state twice, without detours of one or two states that a
// choice can skip.
function mainPath({ StartAt, States }) {
  let longest = [];
  const walk = (path) => {
    const state = States[path.at(-1)];
    if ((state.Type === "Succeed" || state.End) && path.length > longest.length) longest = path;
    for (const { to } of waysOn(state)) if (!path.includes(to)) walk([...path, to]);
  };
  walk([StartAt]);
  const main = [];
  for (let at = 0; at < longest.length; ) {
    main.push(longest[at]);
    const steps = waysOn(States[longest[at]]).map(({ to }) => longest.indexOf(to) - at);
    at += Math.max(1, ...steps.filter((step) => step <= 3));
  }
  return main;
}

// Neighbours whose failures all lead to the same state, with the states between them: [[state names]]. A state of the main
// path shares no card with other states, so that the main path runs straight.
function cards({ StartAt, States }, main) {
  const order = reachable({ StartAt, States });
  const caught = (name) => detours(States[name]).find(({ label }) => label === ANY_FAILURE)?.to;
  const alike = (one, other) => caught(one) === caught(other) && main.includes(one) === main.includes(other);
  const onward = (name) => waysOn(States[name]).map(({ to }) => to);
  const leadTo = (name) => leadingTo(name, order, States);
  const passing = (name) => ["Choice", "Pass", "Wait"].includes(States[name].Type);
  const cardOf = new Map(order.filter(caught).map((name) => [name, new Set([name])]));
  const join = (...names) => {
    const card = new Set(names.flatMap((name) => [...(cardOf.get(name) ?? [name])]));
    for (const name of card) cardOf.set(name, card);
  };
  const joinNext = (path) => {
    for (const next of onward(path.at(-1)).filter((name) => !path.includes(name))) {
      if (alike(path[0], next)) join(...path, next);
      else if (passing(next)) joinNext([...path, next]);
    }
  };
  for (const name of order.filter(caught)) joinNext([name]);
  for (const name of order.filter(passing)) {
    const around = new Set(leadTo(name).map((other) => cardOf.get(other)));
    const [card] = around;
    if (card && around.size === 1 && onward(name).some((next) => card.has(next))) join(leadTo(name)[0], name);
  }
  return [...new Set(cardOf.values())]
    .filter((card) => card.size > 1)
    .map((card) => order.filter((name) => card.has(name)));
}

const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");

function wrapped(text, width) {
  const lines = [""];
  for (const word of text.split(/\s+/)) {
    if (lines.at(-1) && `${lines.at(-1)} ${word}`.length > width) lines.push("");
    lines.push(`${lines.pop()} ${word}`.trim());
  }
  return lines;
}

function label(name, state, align = "CENTER") {
  const service = /:states:::(?!lambda:)(?:aws-sdk:)?(\w+:\w+)/.exec(state.Resource ?? "")?.[1];
  const note = state.Comment ?? service ?? (Number.isInteger(state.Seconds) ? `${state.Seconds} s` : "");
  const colour = LOOKS[state.Type]?.fontcolor ?? QUIET;
  const lines = wrapped(note, state.Type === "Choice" ? 18 : 19).filter(Boolean);
  const tag = state.Type === "Choice" ? "I" : "B";
  const title = wrapped(name.replace(/(?<=[a-z])(?=[A-Z])/g, " "), LONGEST_NAME).map((line) => escaped(line.replaceAll(" ", "")));
  return { html: `<${tag}>${title.join(`<BR ALIGN="${align}"/>`)}</${tag}>${lines.map((line) => `<BR ALIGN="${align}"/>${small(line, colour)}`).join("")}${align === "LEFT" ? `<BR ALIGN="LEFT"/>` : ""}` };
}

const small = (text, colour) => `<FONT POINT-SIZE="10" COLOR="${colour}">${escaped(text)}</FONT>`;
const edgeLabel = (text) => (text ? { label: wrapped(text, 14).map((line) => ` ${line} `).join("\n") } : {});

// The ends that only a choice leads to, as one list. Each row has an end and the condition that leads to it.
function listOfEnds(ways, States) {
  const rows = ways.map(({ to, label: rule }) => {
    const { fillcolor, fontcolor } = LOOKS[States[to].Type];
    const plain = (text) => text.toLowerCase().replace(/[^a-z]/g, "");
    const notes = wrapped(States[to].Comment ?? "", 84).map((line) => small(line || " ", QUIET)).join('<BR ALIGN="LEFT"/>');
    const why = small(plain(rule) === plain(to) ? " " : rule || " ", QUIET);
    const end = `<TABLE BORDER="0" CELLPADDING="5" STYLE="ROUNDED" BGCOLOR="${fillcolor}"><TR><TD ALIGN="LEFT" WIDTH="140"><FONT COLOR="${fontcolor}"><B>${escaped(to)}</B></FONT></TD></TR></TABLE>`;
    return `<TR><TD ALIGN="RIGHT">${why}</TD><TD>${end}</TD><TD ALIGN="LEFT" BALIGN="LEFT">${notes}</TD></TR>`;
  });
  return { html: `<TABLE BORDER="0" CELLSPACING="2" CELLPADDING="1">${rows.join("")}</TABLE>` };
}

// The drawing for Graphviz. An edge that `isFar(tail, head)` ends at a tag with the name of its target.
function drawing(definition, isFar = () => false) {
  const nodes = [], edges = [], subgraphs = [];
  const whole = { nodes, subgraphs };
  const dot = (width) => ({ shape: "circle", label: "", width, height: width, fixedsize: true, style: "filled", fillcolor: INK });
  const isParallel = (state) => branchesOf(state).length > 0;
  // Where edges enter and leave a state: a Parallel is entered at its fork and left at its join.
  const top = (name, state) => (isParallel(state) ? `${name} fork` : name);
  const bottom = (name, state) => (isParallel(state) ? `${name} join` : name);
  const edge = (tail, head, attributes) => edges.push({ tail, head, attributes });
  const way = (home, tail, to, state, attributes) => {
    const head = top(to, state);
    if (attributes.penwidth || !isFar(tail, head)) return edge(tail, head, attributes);
    const tag = `${tail} to ${to}, ${attributes.style ?? "solid"}`;
    const colour = attributes.color ?? QUIET;
    home.nodes.push({ name: tag, attributes: { label: { html: `<I>to ${escaped(to)}</I>` }, ...TAG, color: colour, fontcolor: colour } });
    return edge(tail, tag, { ...attributes, weight: 1 });
  };

  function draw(machine, home, main) {
    const { States } = machine;
    const order = reachable(machine);
    const group = (name) => (main.includes(name) ? { group: "main" } : {});
    const straight = (name, to) => main.includes(name) && main[main.indexOf(name) + 1] === to;
    const drawnCards = cards(machine, main).map((names) => ({
      names, name: `cluster card of ${names[0]}`, nodes: [], subgraphs: [],
      graphAttributes: { style: "rounded,filled", fillcolor: "#fff8f3", color: "#f0c6a8", margin: 12 },
    }));
    home.subgraphs.push(...drawnCards);
    // A card that only failures lead to is below the Parallel state of the main path: there is no room beside that state.
    const below = main[main.findIndex((name) => isParallel(States[name])) + 1];
    for (const { names: [first] } of drawnCards.filter(({ names }) => !main.includes(names[0])))
      if (leadingTo(first, order, States).every((other) => waysOn(States[other]).every(({ to }) => to !== first)))
        edge(bottom(below, States[below]), first, { style: "invis", weight: 0 });
    const cardOf = (name) => drawnCards.find(({ names }) => names.includes(name));
    const listed = (name, to) =>
      ["Succeed", "Fail"].includes(States[to].Type) && leadingTo(to, order, States).length === 1 && waysOn(States[name]).length > 3;
    const inLists = new Set();

    for (const name of order.filter((one) => States[one].Type === "Choice")) {
      const ends = waysOn(States[name]).filter(({ to }) => listed(name, to));
      if (!ends.length) continue;
      ends.forEach(({ to }) => inLists.add(to));
      home.nodes.push({ name: `${name} ends`, attributes: { label: listOfEnds(ends, States), shape: "plain", class: "ends", ...group(name) } });
      edge(name, `${name} ends`, STRAIGHT);
    }
    for (const name of order.filter((one) => !inLists.has(one))) {
      const state = States[name];
      const place = cardOf(name) ?? home;
      if (!isParallel(state)) {
        place.nodes.push({ name, attributes: { label: label(name, state), ...LOOKS[state.Type], ...group(name) } });
        continue;
      }
      const cluster = {
        name: `cluster ${name}`, nodes: [], subgraphs: [],
        graphAttributes: { label: label(name, state, "LEFT"), labeljust: "l", fontname: MEASURED, fontsize: 12, fontcolor: INK, style: "rounded,filled", fillcolor: "#ffffff", color: "#57606a", margin: 12 },
      };
      place.subgraphs.push(cluster);
      for (const end of ["fork", "join"]) cluster.nodes.push({ name: `${name} ${end}`, attributes: { ...dot(0.09), ...group(name) } });
      branchesOf(state).forEach((branch, index, { length }) => {
        const middle = main.includes(name) && index === Math.floor(length / 2);
        const attributes = { arrowsize: 0.6, weight: middle ? 100 : 1 };
        draw(branch, cluster, middle ? mainPath(branch) : []);
        edge(`${name} fork`, top(branch.StartAt, branch.States[branch.StartAt]), attributes);
        for (const [last, { Next, Type }] of Object.entries(branch.States))
          if (!Next && Type !== "Choice") edge(last, `${name} join`, { ...attributes, arrowhead: "none" });
      });
    }
    for (const name of order) {
      const state = States[name];
      for (const { to, label: rule } of waysOn(state).filter(({ to }) => !inLists.has(to)))
        way(home, bottom(name, state), to, States[to], {
          ...(straight(name, to) ? STRAIGHT : {}),
          ...edgeLabel(rule || evenIf(state)),
        });
      for (const { to, label: what } of detours(state)) {
        const card = what === ANY_FAILURE && cardOf(name);
        if (card && card.names[0] !== name) continue;
        const from = card ? { ltail: card.name } : isParallel(state) ? { ltail: `cluster ${name}` } : {};
        way(home, bottom(name, state), to, States[to], { ...from, ...edgeLabel(what), style: "dashed", color: FAILURE, fontcolor: FAILURE, weight: 0, arrowsize: 0.7 });
      }
    }
  }

  draw(definition, whole, mainPath(definition));
  nodes.push({ name: " start", attributes: { ...dot(0.16), group: "main" } });
  edge(" start", top(definition.StartAt, definition.States[definition.StartAt]), STRAIGHT);
  return {
    directed: true,
    graphAttributes: { compound: true, newrank: true, nodesep: 0.1, ranksep: 0.35, bgcolor: "transparent" },
    nodeAttributes: { fontname: MEASURED, fontsize: 12, fontcolor: INK, penwidth: 1.2, height: 0.4, margin: "0.14,0.07" },
    edgeAttributes: { fontname: MEASURED, fontsize: 10, fontcolor: QUIET, color: "#57606a", arrowsize: 0.8 },
    nodes, edges, subgraphs,
  };
}

const leadingTo = (name, order, States) =>
  order.filter((other) => [...waysOn(States[other]), ...catches(States[other])].some(({ to }) => to === name));

// The states in the order in which a person reads them.
function reachable({ StartAt, States }) {
  const found = [StartAt];
  for (const name of found)
    for (const { to } of [...waysOn(States[name]), ...catches(States[name])]) if (!found.includes(to)) found.push(to);
  return found;
}

// Graphviz places a line by its width in Graphviz's font. In a reader's font the line is centred only with this attribute.
function centred(shape) {
  const [, outline] = / (?:d|points)="([^"]*)"/.exec(shape) ?? [];
  if (!outline) return shape;
  const across = [...outline.matchAll(/(-?[\d.]+),-?[\d.]+/g)].map(([, x]) => Number(x));
  const middle = ((Math.min(...across) + Math.max(...across)) / 2).toFixed(2);
  return shape.replace(/text-anchor="start" x="[^"]*"/g, `text-anchor="middle" x="${middle}"`);
}

// Graphviz's SVG, as a card that is legible on a light page and on a dark page.
function card(svg, definition) {
  const [, width, height] = /viewBox="[\d.]+ [\d.]+ ([\d.]+) ([\d.]+)"/.exec(svg);
  const margin = 16, legend = 20;
  const [w, h] = [Number(width) + 2 * margin, Number(height) + 2 * margin + legend].map((size) => size.toFixed(0));
  const title = `The workflow ${definition.name}`;
  const description = `${title}: ${mainPath(definition).join(", then ")}. Dashed edges show failures.`;
  const body = svg.slice(svg.indexOf(">", svg.indexOf("<svg")) + 1, svg.lastIndexOf("</svg>"))
    .replace(/<!--[\s\S]*?-->\n?|<title>[\s\S]*?<\/title>\n?| xml:space="preserve"/g, "")
    .replace(/<g id="node\d+" class="node">[\s\S]*?<\/g>/g, centred)
    .replaceAll(`font-family="${MEASURED}"`, `font-family="${FONT}"`);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}" viewBox="0 0 ${w} ${h}" role="img" aria-label="${escaped(description)}">
<title>${escaped(title)}</title>
<rect width="${w}" height="${h}" rx="10" fill="#ffffff"/>
<g transform="translate(${margin} ${margin})">${body.trim()}
</g>
<text x="${w - margin}" y="${h - margin}" text-anchor="end" font-family="${FONT}" font-size="12" fill="${QUIET}">${LEGEND}</text>
</svg>
`;
}

try {
  const [template, out, wanted] = process.argv.slice(2);
  if (!out) throw new Error("usage: node docs/picture.mjs <template.json> <out.svg> [name of the state machine]");
  const definition = definitionIn(JSON.parse(readFileSync(template, "utf8")), wanted);
  const viz = await instance();
  const heights = new Map(viz.renderJSON(drawing(definition)).objects.map(({ name, pos }) => [name, Number(pos?.split(",")[1])]));
  const isFar = (tail, head) => Math.abs(heights.get(tail) - heights.get(head)) > FAR;
  const svg = viz.renderString(drawing(definition, isFar), { format: "svg" });
  writeFileSync(out, card(svg, definition));
} catch (error) {
  console.error(`picture.mjs: ${error.message}`);
  process.exitCode = 1;
}
