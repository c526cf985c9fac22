// Puts a badge's face onto a cell: a class and `data-nbops-…` attributes on the cell's node, and a small element in its
// input's wrapper. Nothing of the notebook's own content is replaced, so other extensions' cells carry badges too.
import type { Cell } from '@jupyterlab/cells';

import type { BadgeFace } from '../model/badge';

const CELL_CLASS = 'nbops-cell';
const BADGE_CLASS = 'nbops-badge';

/** Show `face` on the cell; null takes the badge away. */
export function showBadge(cell: Cell, face: BadgeFace | null, open: (run: string) => void): void {
  const node = cell.node;
  const old = node.querySelector(`.${BADGE_CLASS}`);
  if (face === null) {
    old?.remove();
    node.classList.remove(CELL_CLASS);
    delete node.dataset['nbopsOutcome'];
    delete node.dataset['nbopsVersion'];
    delete node.dataset['nbopsEdited'];
    return;
  }
  node.classList.add(CELL_CLASS);
  node.dataset['nbopsOutcome'] = face.outcome;
  node.dataset['nbopsVersion'] = face.version;
  node.dataset['nbopsEdited'] = String(face.edited);
  const place = node.querySelector('.jp-Cell-inputWrapper');
  if (place === null) {
    return; // the cell is out of sight and not yet drawn: it is asked again when it is
  }
  const said = `${face.outcome} ${face.label} ${face.title}`;
  if (old instanceof HTMLElement && old.dataset['said'] === said) {
    return; // asked on every keystroke: leave the page alone when nothing changed
  }
  const badge = element(face, open);
  badge.dataset['said'] = said;
  if (old) {
    old.replaceWith(badge);
  } else {
    place.append(badge);
  }
}

function element(face: BadgeFace, open: (run: string) => void): HTMLElement {
  const run = face.run;
  const badge = document.createElement(run === null ? 'span' : 'button');
  badge.className = BADGE_CLASS;
  badge.title = run === null ? face.title : `${face.title}\nClick to open the run`;
  badge.setAttribute('aria-label', face.title);
  const dot = document.createElement('span');
  dot.className = 'nbops-badge-dot';
  badge.append(dot, face.label);
  if (badge instanceof HTMLButtonElement && run !== null) {
    badge.type = 'button';
    badge.tabIndex = -1; // Tab stays the notebook's; the command opens the run from the keyboard
    const mark = document.createElement('span');
    mark.className = 'nbops-badge-run';
    mark.textContent = 'run';
    badge.append(mark);
    badge.addEventListener('click', event => {
      event.stopPropagation();
      open(run);
    });
  } else {
    badge.setAttribute('role', 'img');
  }
  return badge;
}
