import { joinBare } from '../bare.ts';
import { expose } from '../peer.ts';

expose(joinBare(false));
