/** The CycloneDX document, by the library of those who keep the format, checked against the schema that it ships. */
import { createHash } from 'node:crypto';
import { ComponentType } from '@cyclonedx/cyclonedx-library/Enums';
import { Bom, Component, LicenseExpression, NamedLicense, Property, SpdxLicense } from '@cyclonedx/cyclonedx-library/Models';
import { JSON as Json, JsonSerializer } from '@cyclonedx/cyclonedx-library/Serialize';
import { fixupSpdxId, isSupportedSpdxId } from '@cyclonedx/cyclonedx-library/SPDX';
import { Spec1dot6, Version } from '@cyclonedx/cyclonedx-library/Spec';
import { JsonStrictValidator } from '@cyclonedx/cyclonedx-library/Validation';
import { NonRetryableError } from '../../src/index.ts';
import type { Findings, Package } from './workflow.ts';

type Settled = Findings['inspections'][number];

/** The document's text: the same findings give the same text, whenever and however often it is made. */
export async function bomText({ scan, inspections }: Findings): Promise<string> {
  const bom = new Bom();
  bom.metadata.timestamp = scan.scannedAt;
  bom.metadata.component = new Component(ComponentType.Application, scan.project.name, { version: scan.project.version, bomRef: '.' });
  scan.packages.forEach((each, i) => bom.components.add(component(each, inspections[i])));
  bom.serialNumber = serialNumber(JSON.stringify([scan, inspections]));
  const serializer = new JsonSerializer(new Json.Normalize.Factory(Spec1dot6));
  const text = `${serializer.serialize(bom, { sortLists: true, space: 2 })}\n`;
  const problem = await new JsonStrictValidator(Version.v1dot6).validate(text);
  if (problem !== null) {
    throw new NonRetryableError(`Not CycloneDX 1.6: ${JSON.stringify(problem).slice(0, 500)}`, { code: 'DOCUMENT_INVALID' });
  }
  return text;
}

function component({ path, name, version }: Package, inspection: Settled | undefined): Component {
  const [, group, bare = name] = /^(@[^/]+)\/(.+)$/.exec(name) ?? [];
  const made = new Component(ComponentType.Library, bare, {
    version,
    bomRef: path,
    purl: purl(name, version),
    ...(group === undefined ? {} : { group }),
  });
  if (inspection?.status === 'success') {
    const { licence, licenceFrom, sha256, files } = inspection.value;
    made.licenses.add(licenceModel(licence));
    made.properties.add(new Property('pawl:sbom:licence-from', licenceFrom));
    made.properties.add(new Property('pawl:sbom:files', String(files)));
    // No `hashes` entry: those are of the archive a package came in, this one is of what lies on the disk.
    made.properties.add(new Property('pawl:sbom:sha256-of-files', sha256));
  } else if (inspection !== undefined && inspection.status !== 'skipped') {
    made.properties.add(new Property('pawl:sbom:problem', inspection.error.code));
  }
  return made;
}

export function purl(name: string, version: string): string {
  return `pkg:npm/${name.split('/').map(encodeURIComponent).join('/')}@${encodeURIComponent(version)}`;
}

function licenceModel(text: string): SpdxLicense | LicenseExpression | NamedLicense {
  const id = fixupSpdxId(text);
  if (id !== undefined) return new SpdxLicense(id);
  const parts = text
    .replace(/[()]/g, ' ')
    .trim()
    .split(/\s+(?:AND|OR|WITH)\s+/);
  return parts.length > 1 && parts.every(isSupportedSpdxId) ? new LicenseExpression(text) : new NamedLicense(text);
}

/** A UUID made of the content (version 8), so that a second attempt gives the document the same number. */
function serialNumber(content: string): string {
  const hex = createHash('sha256').update(content).digest('hex');
  return `urn:uuid:${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
