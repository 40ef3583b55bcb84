/** Elements: those of index.html, and new ones. */
import { icon, isIcon } from './icons.ts';

/** The element of index.html with this id. */
export function find<Kind extends Element>(id: string, kind: new () => Kind): Kind {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`index.html has no ${kind.name} with the id ${id}.`);
  return found;
}

/** All elements of index.html with this attribute, and what it says. */
export function findAll(attribute: string): [element: HTMLElement, value: string][] {
  const found = [...document.querySelectorAll<HTMLElement>(`[${attribute}]`)];
  return found.map((element) => [element, element.getAttribute(attribute) ?? '']);
}

/** A new element with these properties and children. */
export function make<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  properties: Partial<HTMLElementTagNameMap[Name]> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/** Gives an element its name for screen readers. By the attribute: Firefox has the property since 119. */
export function named<Kind extends Element>(element: Kind, text: string): Kind {
  element.setAttribute('aria-label', text);
  return element;
}

/** Whether an element is shown at all: not hidden, nor within what is. Safari has checkVisibility since 17.4. */
export function isShown(element: Element): boolean {
  return element.getClientRects().length > 0;
}

/** Puts an icon before what an element says, in place of the one it has. */
export function setIcon(element: Element, name: string): void {
  if (!isIcon(name)) throw new Error(`There is no icon ${name}.`);
  element.querySelector(':scope > svg')?.remove();
  element.prepend(icon(name));
}

/** How long an announcement stands, in ms, before the next takes its place. */
const ANNOUNCE_EVERY_MS = 1_000;

/** Most of what waits that is said at a time: a stranger may say any number of things, and the last are the newest. */
const MAX_ANNOUNCED = 3;
const MAX_ANNOUNCED_LENGTH = 500;

let unsaid: string[] = [];
let isSaying = false;

/** Tells whoever listens rather than looks. */
export function announce(text: string): void {
  unsaid = [...unsaid, text.slice(0, MAX_ANNOUNCED_LENGTH)].slice(-MAX_ANNOUNCED);
  if (!isSaying) sayNext();
}

function sayNext(): void {
  isSaying = unsaid.length > 0;
  if (!isSaying) return;
  find('announcer', HTMLElement).textContent = unsaid.join(' ');
  unsaid = [];
  setTimeout(sayNext, ANNOUNCE_EVERY_MS);
}
