/** `node scripts/llms.ts` makes llms.txt (llmstxt.org): what this is, and which document says what, from README.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import manifest from '../package.json' with { type: 'json' };

/** Title, summary, and a list of the documents that README links, each with its own title and first sentence. */
export function llmsText(read: (path: string) => string): string {
  const paths = new Set(
    Array.from(read('README.md').matchAll(/\]\(((?:\w+\/)?[\w-]+\.md)(?:#[\w-]+)?\)/g), ([, path = '']) => path),
  );
  const lines = [...paths].toSorted().map((path) => {
    const [heading = '', ...paragraphs] = read(path).split('\n\n');
    const prose = paragraphs.find((paragraph) => /^[A-Z`]/.test(paragraph) && !paragraph.startsWith('```')) ?? '';
    const [sentence = ''] = /^.*?[.:](?=\s|$)/s.exec(prose) ?? [];
    const plain = sentence.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/\s+/g, ' ');
    return `- [${heading.replace('# ', '')}](${path})${plain && `: ${plain.replace(/:$/, '.')}`}`;
  });
  return `# ${manifest.name}\n\n> ${manifest.description}.\n\n- [README](README.md): quick start, options, methods, events, settings\n${lines.join('\n')}\n`;
}

if (import.meta.main)
  writeFileSync(
    'llms.txt',
    llmsText((path) => readFileSync(path, 'utf8')),
  );
